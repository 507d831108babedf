#include "tools/read/queue.h"

#include <assert.h>
#include <stdlib.h>

static bool
is_before(const struct vmt_queue_item *a, const struct vmt_queue_item *b)
{
	return a->time < b->time || (a->time == b->time && a->order < b->order);
}

bool
vmt_queue_push(struct vmt_queue *queue, struct vmt_queue_item item)
{
	size_t at = queue->count;

	if (queue->count == queue->room) {
		size_t room = queue->room == 0 ? 64 : queue->room * 2;
		struct vmt_queue_item *larger = realloc(queue->items, room * sizeof(*larger));

		if (larger == NULL)
			return false;
		queue->items = larger;
		queue->room = room;
	}
	queue->count++;
	while (at > 0 && is_before(&item, &queue->items[(at - 1) / 2])) {
		queue->items[at] = queue->items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	queue->items[at] = item;
	return true;
}

struct vmt_queue_item
vmt_queue_pop(struct vmt_queue *queue)
{
	struct vmt_queue_item first;
	struct vmt_queue_item last;
	size_t at = 0;

	assert(queue->count > 0);
	first = queue->items[0];
	last = queue->items[--queue->count];
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= queue->count)
			break;
		if (child + 1 < queue->count &&
		    is_before(&queue->items[child + 1], &queue->items[child]))
			child++;
		if (!is_before(&queue->items[child], &last))
			break;
		queue->items[at] = queue->items[child];
		at = child;
	}
	if (queue->count > 0)
		queue->items[at] = last;
	return first;
}

void
vmt_queue_free(struct vmt_queue *queue)
{
	free(queue->items);
	*queue = (struct vmt_queue){0};
}
