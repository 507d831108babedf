#include "tools/model/threads.h"

#include "tools/model/blocks.h"

#include <errno.h>
#include <stdlib.h>

struct vmt_threads {
	struct vmt_thread_stack *items;
	size_t count;
	size_t room;
	struct vmt_blocks *index; /* descriptor -> position, in the size field; stale once sorted */
	bool sorted;
};

struct vmt_threads *
vmt_threads_new(void)
{
	struct vmt_threads *threads = calloc(1, sizeof(*threads));

	if (!threads)
		return NULL;
	threads->index = vmt_blocks_new();
	if (!threads->index) {
		free(threads);
		return NULL;
	}
	return threads;
}

void
vmt_threads_free(struct vmt_threads *threads)
{
	if (!threads)
		return;
	vmt_blocks_free(threads->index);
	free(threads->items);
	free(threads);
}

static int
note_position(struct vmt_threads *threads, size_t position)
{
	struct vmt_block entry = {.address = threads->items[position].descriptor, .size = position};
	struct vmt_block old;
	bool replaced;

	return vmt_blocks_put(threads->index, &entry, &old, &replaced);
}

/* Sorting moved the entries: say again where each one is. */
static int
index_again(struct vmt_threads *threads)
{
	for (size_t i = 0; threads->sorted && i < threads->count; i++)
		if (note_position(threads, i))
			return -ENOMEM;
	threads->sorted = false;
	return 0;
}

static int
append(struct vmt_threads *threads, const struct vmt_thread_stack *thread)
{
	if (threads->count == threads->room) {
		size_t room = threads->room ? threads->room * 2 : 64;
		struct vmt_thread_stack *items = reallocarray(threads->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		threads->items = items;
		threads->room = room;
	}
	threads->items[threads->count] = *thread;
	if (note_position(threads, threads->count))
		return -ENOMEM;
	threads->count++;
	return 0;
}

int
vmt_threads_put(struct vmt_threads *threads, const struct vmt_thread_stack *thread)
{
	struct vmt_block entry;

	if (index_again(threads))
		return -ENOMEM;
	if (!vmt_blocks_find(threads->index, thread->descriptor, &entry))
		return append(threads, thread);
	threads->items[entry.size] = *thread;
	return 0;
}

static int
compare_descriptors(const void *left, const void *right)
{
	const struct vmt_thread_stack *a = left;
	const struct vmt_thread_stack *b = right;

	return (a->descriptor > b->descriptor) - (a->descriptor < b->descriptor);
}

const struct vmt_thread_stack *
vmt_threads_sorted(struct vmt_threads *threads, size_t *count)
{
	if (!threads->sorted && threads->count > 1)
		qsort(threads->items, threads->count, sizeof(*threads->items), compare_descriptors);
	threads->sorted = true;
	*count = threads->count;
	return threads->items;
}
