/*
 * priority_queue.h: a binary min-heap of waiting items.
 *
 * A binary min-heap of (time, order) with a value that is the caller's. Items of equal time leave
 * by rising order. One thread's.
 */
#ifndef VMT_PRIORITY_QUEUE_H
#define VMT_PRIORITY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_priority_queue_item {
	uint64_t time;
	uint64_t order;
	uint64_t value;
};

/* All zero is an empty queue. */
struct vmt_priority_queue {
	struct vmt_priority_queue_item *items; /* items[0] is the first, where count > 0 */
	size_t count;
	size_t room;
};

/* False when there is no memory; the queue is as before. */
bool vmt_priority_queue_push(struct vmt_priority_queue *queue, struct vmt_priority_queue_item item);

static inline bool
vmt_priority_queue_is_before(const struct vmt_priority_queue_item *a,
			     const struct vmt_priority_queue_item *b)
{
	return a->time < b->time || (a->time == b->time && a->order < b->order);
}

/* Takes the first item out; the queue must not be empty. */
struct vmt_priority_queue_item vmt_priority_queue_pop(struct vmt_priority_queue *queue);

/* Puts an item in the place of the first; the queue must not be empty. */
void vmt_priority_queue_replace(struct vmt_priority_queue *queue,
				struct vmt_priority_queue_item item);

/* The item that would be first without the first, or NULL. Valid until a change. */
const struct vmt_priority_queue_item *
vmt_priority_queue_second(const struct vmt_priority_queue *queue);

void vmt_priority_queue_free(struct vmt_priority_queue *queue);

#endif
