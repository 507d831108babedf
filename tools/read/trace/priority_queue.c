#include "tools/read/trace/priority_queue.h"

#include "base/assert.h"

#include <assert.h>
#include <stdlib.h>

bool
vmt_priority_queue_push(struct vmt_priority_queue *queue, struct vmt_priority_queue_item item)
{
	size_t at = queue->count;

	if (queue->count == queue->room) {
		size_t room = queue->room == 0 ? 64 : queue->room * 2;
		struct vmt_priority_queue_item *larger =
		    realloc(queue->items, room * sizeof(*larger));

		if (larger == NULL)
			return false;
		queue->items = larger;
		queue->room = room;
	}
	vmt_assert(queue->count < queue->room);
	queue->count++;
	while (at > 0 && vmt_priority_queue_is_before(&item, &queue->items[(at - 1) / 2])) {
		queue->items[at] = queue->items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	queue->items[at] = item;
	return true;
}

void
vmt_priority_queue_replace(struct vmt_priority_queue *queue, struct vmt_priority_queue_item item)
{
	size_t at = 0;

	assert(queue->count > 0);
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= queue->count)
			break;
		if (child + 1 < queue->count &&
		    vmt_priority_queue_is_before(&queue->items[child + 1], &queue->items[child]))
			child++;
		if (!vmt_priority_queue_is_before(&queue->items[child], &item))
			break;
		queue->items[at] = queue->items[child];
		at = child;
	}
	queue->items[at] = item;
}

struct vmt_priority_queue_item
vmt_priority_queue_pop(struct vmt_priority_queue *queue)
{
	struct vmt_priority_queue_item first;

	assert(queue->count > 0);
	first = queue->items[0];
	queue->count--;
	if (queue->count > 0)
		vmt_priority_queue_replace(queue, queue->items[queue->count]);
	vmt_assert(queue->count == 0 || !vmt_priority_queue_is_before(&queue->items[0], &first));
	return first;
}

const struct vmt_priority_queue_item *
vmt_priority_queue_second(const struct vmt_priority_queue *queue)
{
	const struct vmt_priority_queue_item *items = queue->items;

	if (queue->count < 2)
		return NULL;
	if (queue->count == 2 || vmt_priority_queue_is_before(&items[1], &items[2]))
		return &items[1];
	return &items[2];
}

void
vmt_priority_queue_free(struct vmt_priority_queue *queue)
{
	free(queue->items);
	*queue = (struct vmt_priority_queue){0};
}
