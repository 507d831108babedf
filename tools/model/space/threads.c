#include "tools/model/space/threads.h"

#include "tools/model/space/blocks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Of threads that are over: their stacks may be the C library's still. glibc keeps 40 MiB of them
 * (nptl/nptl-stack.c), 2,560 of the smallest. Half as many again are kept as are sorted out. */
#define OVER_KEPT 4096u
#define OVER_MOST (2 * OVER_KEPT)

struct vmt_threads {
	struct vmt_thread_stack *items;
	size_t count;
	size_t room;
	size_t over; /* how many of them are */
	/* Position, in the size field, by descriptor and by kernel id. */
	struct vmt_blocks *by_descriptor;
	struct vmt_blocks *by_tid;
	size_t owners;	/* the first ones, where sorted */
	bool sorted;	/* those that own a stack first, either part by descriptor */
	bool misplaced; /* sorting moved them, and the positions are those of before */
};

struct vmt_threads *
vmt_threads_new(void)
{
	struct vmt_threads *threads = calloc(1, sizeof(*threads));

	if (!threads)
		return NULL;
	threads->by_descriptor = vmt_blocks_new();
	threads->by_tid = vmt_blocks_new();
	if (threads->by_descriptor && threads->by_tid)
		return threads;
	vmt_threads_free(threads);
	return NULL;
}

void
vmt_threads_fork(struct vmt_threads *threads, bool with_it)
{
	vmt_blocks_fork(threads->by_descriptor, with_it);
	vmt_blocks_fork(threads->by_tid, with_it);
}

void
vmt_threads_free(struct vmt_threads *threads)
{
	if (!threads)
		return;
	vmt_blocks_free(threads->by_descriptor);
	vmt_blocks_free(threads->by_tid);
	free(threads->items);
	free(threads);
}

static int
put_position(struct vmt_blocks *index, uint64_t key, size_t position)
{
	struct vmt_block entry = {.address = key, .size = position};
	struct vmt_block old;
	bool replaced;

	return vmt_blocks_put(index, &entry, &old, &replaced);
}

static int
note_position(struct vmt_threads *threads, size_t position)
{
	const struct vmt_thread_stack *thread = &threads->items[position];
	int status = put_position(threads->by_descriptor, thread->descriptor, position);

	if (!status && thread->tid && !thread->over)
		status = put_position(threads->by_tid, thread->tid, position);
	return status;
}

/* Sorting moved the entries: say again where each one is. */
static int
index_again(struct vmt_threads *threads)
{
	for (size_t i = 0; threads->misplaced && i < threads->count; i++)
		if (note_position(threads, i))
			return -ENOMEM;
	threads->misplaced = false;
	return 0;
}

static int
compare_times(const void *left, const void *right)
{
	const uint64_t *a = left;
	const uint64_t *b = right;

	return (*a > *b) - (*a < *b);
}

/* The time after which at most OVER_KEPT of the threads that are over began. Without memory to
 * tell: after which none did. */
static uint64_t
kept_after(const struct vmt_threads *threads)
{
	uint64_t *times = reallocarray(NULL, threads->over, sizeof(*times));
	uint64_t after;
	size_t count = 0;

	if (!times)
		return UINT64_MAX;
	assert(threads->over >= OVER_MOST);
	for (size_t i = 0; i < threads->count && count < threads->over; i++)
		if (threads->items[i].over)
			times[count++] = threads->items[i].time;
	qsort(times, count, sizeof(*times), compare_times);
	assert(count == threads->over);
	after = times[count - OVER_KEPT - 1];
	free(times);
	return after;
}

/* Forgets the oldest of those that are over, so that memory does not grow with how many there were.
 */
static int
forget(struct vmt_threads *threads)
{
	uint64_t after = kept_after(threads);
	size_t kept = 0;

	for (size_t i = 0; i < threads->count; i++) {
		if (threads->items[i].over && threads->items[i].time <= after)
			continue;
		threads->items[kept++] = threads->items[i];
	}
	threads->over -= threads->count - kept;
	threads->count = kept;
	vmt_blocks_free(threads->by_descriptor);
	vmt_blocks_free(threads->by_tid);
	threads->by_descriptor = vmt_blocks_new();
	threads->by_tid = vmt_blocks_new();
	if (!threads->by_descriptor || !threads->by_tid)
		return -ENOMEM;
	threads->misplaced = true;
	return index_again(threads);
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
	threads->over += thread->over;
	if (note_position(threads, threads->count))
		return -ENOMEM;
	threads->count++;
	return 0;
}

static void
end_thread(struct vmt_threads *threads, struct vmt_thread_stack *thread,
	   const struct vmt_threads_sink *sink)
{
	if (thread->over)
		return;
	thread->over = true;
	threads->over++;
	sink->over(sink->context, thread);
}

int
vmt_threads_put(struct vmt_threads *threads, const struct vmt_thread_stack *thread,
		const struct vmt_threads_sink *sink)
{
	struct vmt_block entry;

	if (threads->over >= OVER_MOST ? forget(threads) : index_again(threads))
		return -ENOMEM;
	threads->sorted = false;
	if (thread->tid && vmt_blocks_find(threads->by_tid, thread->tid, &entry) &&
	    threads->items[entry.size].tid == thread->tid)
		end_thread(threads, &threads->items[entry.size], sink);
	if (!vmt_blocks_find(threads->by_descriptor, thread->descriptor, &entry))
		return append(threads, thread);
	end_thread(threads, &threads->items[entry.size], sink);
	threads->over -= !thread->over;
	threads->items[entry.size] = *thread;
	return note_position(threads, entry.size);
}

static bool
has(const uint32_t *tids, size_t count, uint32_t tid)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tids[middle] < tid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && tids[low] == tid;
}

void
vmt_threads_keep(struct vmt_threads *threads, uint64_t time, const uint32_t *tids, size_t count,
		 const struct vmt_threads_sink *sink)
{
	threads->sorted = false;
	for (size_t i = 0; i < threads->count; i++) {
		struct vmt_thread_stack *thread = &threads->items[i];

		if (thread->tid && thread->time < time && !has(tids, count, thread->tid))
			end_thread(threads, thread, sink);
	}
}

static bool
owns_stack(const struct vmt_thread_stack *thread)
{
	return !thread->over && !thread->callers;
}

static int
compare_threads(const void *left, const void *right)
{
	const struct vmt_thread_stack *a = left;
	const struct vmt_thread_stack *b = right;

	if (owns_stack(a) != owns_stack(b))
		return owns_stack(a) ? -1 : 1;
	return (a->descriptor > b->descriptor) - (a->descriptor < b->descriptor);
}

static void
sort(struct vmt_threads *threads)
{
	if (threads->sorted)
		return;
	if (threads->count > 1)
		qsort(threads->items, threads->count, sizeof(*threads->items), compare_threads);
	threads->owners = 0;
	while (threads->owners < threads->count && owns_stack(&threads->items[threads->owners]))
		threads->owners++;
	threads->sorted = threads->misplaced = true;
}

struct vmt_thread_stack *
vmt_threads_owners(struct vmt_threads *threads, size_t *count)
{
	sort(threads);
	*count = threads->owners;
	return threads->items;
}

static struct vmt_thread_stack *
first_after(struct vmt_thread_stack *items, size_t count, uint64_t address)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (items[middle].top <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count ? &items[low] : NULL;
}

struct vmt_thread_stack *
vmt_threads_owner_after(struct vmt_threads *threads, uint64_t address)
{
	sort(threads);
	return first_after(threads->items, threads->owners, address);
}

const struct vmt_thread_stack *
vmt_threads_over_after(struct vmt_threads *threads, uint64_t address)
{
	sort(threads);
	if (threads->count == threads->owners)
		return NULL;
	return first_after(threads->items + threads->owners, threads->count - threads->owners,
			   address);
}
