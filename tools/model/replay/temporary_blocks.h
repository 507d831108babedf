/*
 * temporary_blocks.h: which blocks were freed before the next allocation of their thread?
 *
 * Such a block served one moment, and may as well be a variable. A block is temporary where the
 * thread that allocated it frees it, or gives it to realloc, and has allocated nothing since.
 * heaptrack has one order of all threads, and does not count a block before whose release another
 * one was freed. Known only where all blocks are recorded. Threads are told apart
 * by the 16 low bits of their kernel ids, which is what events of the heap have. An event costs the
 * same however many threads there are, whatever the addresses (hash_seed.h). Where blocks is NULL
 * nothing is counted. One thread at a time.
 */
#ifndef VMT_TEMPORARY_BLOCKS_H
#define VMT_TEMPORARY_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

struct vmt_temporary_blocks;

struct vmt_temporary_blocks *vmt_temporary_blocks_new(void);
void vmt_temporary_blocks_free(struct vmt_temporary_blocks *blocks);

/* A thread has allocated a block. */
void vmt_temporary_blocks_acquire(struct vmt_temporary_blocks *blocks, uint32_t thread,
				  uint64_t address);
/* A thread has allocated a block, whose address still counts as another's: that one's release is
 * yet to come. Once it has come, confirm it. */
void vmt_temporary_blocks_expect(struct vmt_temporary_blocks *blocks, uint32_t thread,
				 uint64_t address);
void vmt_temporary_blocks_confirm(struct vmt_temporary_blocks *blocks, uint32_t thread,
				  uint64_t address);
/* A thread frees a block: whether that was temporary. */
bool vmt_temporary_blocks_release(struct vmt_temporary_blocks *blocks, uint32_t thread,
				  uint64_t address);
/* A thread allocates a block and frees it at once: it is temporary. As acquire and release. */
void vmt_temporary_blocks_pass(struct vmt_temporary_blocks *blocks, uint32_t thread,
			       uint64_t address);
/* The thread's last release failed, as a realloc may: whether it had been temporary. */
bool vmt_temporary_blocks_undo(struct vmt_temporary_blocks *blocks, uint32_t thread,
			       uint64_t address);

/* What is known of a thread, by the bits of its id: its last block, 0 where there is none, and
 * whether that block went by its last release. */
struct vmt_temporary_block {
	uint64_t address;
	bool is_released;
};

struct vmt_temporary_block vmt_temporary_blocks_get(const struct vmt_temporary_blocks *blocks,
						    uint32_t thread);
void vmt_temporary_blocks_set(struct vmt_temporary_blocks *blocks, uint32_t thread,
			      struct vmt_temporary_block last);

/* How many threads one look passes at most now. For tests. */
uint32_t vmt_temporary_blocks_longest_way(const struct vmt_temporary_blocks *blocks);

#endif
