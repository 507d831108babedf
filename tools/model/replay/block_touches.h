/*
 * block_touches.h: who touched the pages of blocks that have a mapping of their own.
 *
 * glibc maps a large block by itself, unmaps it when it is freed, and moves it with mremap when it
 * is resized, all without passing through a hook. Such a block begins 16 bytes into a page. One of
 * the heap does so in one of 256 cases: hence it must lie in no known mapping, nor right above the
 * program, where the first heap is, and have 128 KiB, below which glibc maps none unless it is told
 * to (malloc/malloc.c, DEFAULT_MMAP_THRESHOLD_MIN).
 *
 * One thread at a time. 0 or -ENOMEM.
 */
#ifndef VMT_BLOCK_TOUCHES_H
#define VMT_BLOCK_TOUCHES_H

#include "tools/model/replay/replay_state.h"
#include "tools/model/space/blocks.h"

enum vmt_block_touches_step {
	VMT_BLOCK_TOUCHES_RELEASE,
	VMT_BLOCK_TOUCHES_MOVE,
	VMT_BLOCK_TOUCHES_UNDO
};

/* Told of each of the calls below that may change something, before it does: those of the replay's
 * block_touches, where that is not NULL. */
struct vmt_block_touches_sink {
	void (*tell)(void *context, enum vmt_block_touches_step step, const struct vmt_event *event,
		     const struct vmt_block *block);
	void *context;
};

/* The block is released by this event. What a REALLOC_BEGIN takes out can be put back. */
int vmt_block_touches_release(struct vmt_replay *replay, const struct vmt_event *event,
			      const struct vmt_block *block);

/* `old` has become the block of this event of realloc; old->address 0: not known. */
int vmt_block_touches_move(struct vmt_replay *replay, const struct vmt_event *event,
			   const struct vmt_block *old);

/* The realloc of `old` failed. */
int vmt_block_touches_undo(struct vmt_replay *replay, const struct vmt_event *event,
			   const struct vmt_block *old);

#endif
