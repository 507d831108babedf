#include "tools/model/replay/temporary_blocks.h"

#include <stdlib.h>

#define THREADS 65536u
#define THREAD_MASK (THREADS - 1)

struct vmt_temporary_blocks {
	uint64_t last[THREADS];	   /* the block that a thread allocated last; 0: none */
	bool is_released[THREADS]; /* by its last release that block went */
	bool is_known[THREADS];
	uint16_t threads[THREADS]; /* that are known */
	uint32_t thread_count;
	uint32_t held[THREADS]; /* by hash of an address: how many threads' last it may be */
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
	return (uint32_t)(((address >> 4) * UINT64_C(0x9e3779b97f4a7c15)) >> 48);
}

static void
set_last(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (blocks->last[thread])
		blocks->held[hash_of(blocks->last[thread])]--;
	blocks->last[thread] = address;
	if (address)
		blocks->held[hash_of(address)]++;
}

/* Another thread freed what this address was, and its memory is a new block. */
static void
forget_slow(struct vmt_temporary_blocks *blocks, uint64_t address)
{
	for (uint32_t i = 0; i < blocks->thread_count; i++)
		if (blocks->last[blocks->threads[i]] == address)
			set_last(blocks, blocks->threads[i], 0);
}

void
vmt_temporary_blocks_acquire(struct vmt_temporary_blocks *blocks, uint32_t thread, uint64_t address)
{
	if (!blocks)
		return;
	thread &= THREAD_MASK;
	if (!blocks->is_known[thread]) {
		blocks->is_known[thread] = true;
		blocks->threads[blocks->thread_count++] = (uint16_t)thread;
	}
	if (blocks->held[hash_of(address)])
		forget_slow(blocks, address);
	set_last(blocks, thread, address);
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
