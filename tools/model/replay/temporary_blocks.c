#include "tools/model/replay/temporary_blocks.h"

#include "tools/hash_seed.h"

#include <stdlib.h>

#define THREADS 65536u
#define THREAD_MASK (THREADS - 1)
#define NO_LINK 0u /* else a thread and 1 */

/* The threads that have a last block are in chains by a hash of its address: a trace chooses both,
 * and whose block an address was must not cost a look at every thread. */
struct vmt_temporary_blocks {
	uint64_t last[THREADS];	   /* the block that a thread allocated last; 0: none */
	bool is_released[THREADS]; /* by its last release that block went */
	uint32_t first[THREADS];   /* link to a chain's first thread, by hash */
	uint32_t next[THREADS];	   /* ... and on from each thread; only where it has a last one */
	uint32_t previous[THREADS];
};

struct vmt_temporary_blocks *
vmt_temporary_blocks_new(void)
{
	return calloc(1, sizeof(struct vmt_temporary_blocks));
}

void
vmt_temporary_blocks_free(struct vmt_temporary_blocks *blocks)
{
	free(blocks);
}

static uint32_t
hash_of(uint64_t address)
{
	return (uint32_t)(vmt_hash_word(address) >> 48);
}

static void
unlink_thread(struct vmt_temporary_blocks *blocks, uint32_t thread)
{
	uint32_t next = blocks->next[thread];
	uint32_t previous = blocks->previous[thread];

	if (previous)
		blocks->next[previous - 1] = next;
	else
		blocks->first[hash_of(blocks->last[thread])] = next;
	if (next)
		blocks->previous[next - 1] = previous;
}

static void
link_thread(struct vmt_temporary_blocks *blocks, uint32_t thread)
{
	uint32_t *first = &blocks->first[hash_of(blocks->last[thread])];

	blocks->next[thread] = *first;
	blocks->previous[thread] = NO_LINK;
	if (*first)
		blocks->previous[*first - 1] = thread + 1;
	*first = thread + 1;
}

static void
set_last(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (blocks->last[thread])
		unlink_thread(blocks, thread);
	blocks->last[thread] = address;
	if (address)
		link_thread(blocks, thread);
}

/* Another thread freed what this address was, and its memory is a new block: that of `owner`. */
static void
forget(struct vmt_temporary_blocks *blocks, uint64_t address, uint32_t owner)
{
	uint32_t link = blocks->first[hash_of(address)];

	while (link) {
		uint32_t thread = link - 1;

		link = blocks->next[thread];
		if (blocks->last[thread] == address && thread != owner)
			set_last(blocks, thread, 0);
	}
}

void
vmt_temporary_blocks_acquire(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (!blocks)
		return;
	forget(blocks, address, thread & THREAD_MASK);
	set_last(blocks, thread & THREAD_MASK, address);
}

void
vmt_temporary_blocks_expect(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (blocks)
		set_last(blocks, thread & THREAD_MASK, address);
}

void
vmt_temporary_blocks_confirm(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (blocks)
		forget(blocks, address, thread & THREAD_MASK);
}

bool
vmt_temporary_blocks_release(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (!blocks)
		return false;
	thread &= THREAD_MASK;
	blocks->is_released[thread] = blocks->last[thread] == address;
	if (blocks->is_released[thread])
		set_last(blocks, thread, 0);
	return blocks->is_released[thread];
}

void
vmt_temporary_blocks_pass(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (!blocks)
		return;
	thread &= THREAD_MASK;
	forget(blocks, address, thread);
	if (blocks->last[thread])
		set_last(blocks, thread, 0);
	blocks->is_released[thread] = true;
}

bool
vmt_temporary_blocks_undo(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	thread &= THREAD_MASK;
	if (!blocks || !blocks->is_released[thread])
		return false;
	blocks->is_released[thread] = false;
	set_last(blocks, thread, address);
	return true;
}

struct vmt_temporary_block
vmt_temporary_blocks_get(const struct vmt_temporary_blocks *blocks, uint32_t thread)
{
	thread &= THREAD_MASK;
	return (struct vmt_temporary_block){blocks->last[thread], blocks->is_released[thread]};
}

void
vmt_temporary_blocks_set(struct vmt_temporary_blocks *blocks, uint32_t thread,
			 struct vmt_temporary_block last)
{
	thread &= THREAD_MASK;
	set_last(blocks, thread, last.address);
	blocks->is_released[thread] = last.is_released;
}

uint32_t
vmt_temporary_blocks_longest_way(const struct vmt_temporary_blocks *blocks)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < THREADS; i++) {
		uint32_t way = 0;

		for (uint32_t link = blocks->first[i]; link; link = blocks->next[link - 1])
			way++;
		longest = way > longest ? way : longest;
	}
	return longest;
}
