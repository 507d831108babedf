/*
 * replay.h: applies events to the address space and the heap.
 *
 * Takes events in time order and keeps what is mapped (space.h), the live blocks (blocks.h), the
 * threads' stacks (threads.h), the modules (module_history.h), and for each site (sites.h) its
 * figures over the run. The state at any moment is for attribution.h to join with a snapshot.
 *
 * Who owns what:
 *   mmap, brk, shmat  the call owns its range until it is released, page by page.
 *   MAP_FIXED         releases what it replaces.
 *   mremap            that shrinks in place releases the tail, the rest keeps its owner. One that
 *                     grows or moves releases the old range (unless MREMAP_DONTUNMAP: that stays
 *                     with its owner, empty) and owns the new one, as realloc does with a block.
 *   pthread_create    the call owns the thread's stack, guard and all, until the thread is over
 *                     (threads.h), but for memory that the program gave for it.
 *   advice            changes no owner; what it gave back counts as the owners' released_committed.
 * Committed bytes of a release go to the owners of the range by their share of its length; shares
 * add up to the figure of the event.
 *
 * Sampled blocks smaller than the sampling interval I stand for 1 / (1 - exp(-size / I)) blocks of
 * their kind: a block is recorded with probability 1 - exp(-size / I), so sums are unbiased
 * (Horvitz and Thompson 1952).
 *
 * In a trace that was thinned (format/thin.h) an event of the heap counts where its block belongs
 * to those that are recorded at its time, and stands for 2^level of its kind. When the level rises,
 * blocks that belong to them no longer are forgotten and the weight of the others grows; both are
 * made up for in what their sites have reserved, so that reserved less released stays what is held.
 *
 * Memory is bounded by what is live and by the number of sites. Events are untrusted: what makes no
 * sense is counted in `malformed` and skipped. 0 or -ENOMEM. One thread at a time.
 */
#ifndef VMT_REPLAY_H
#define VMT_REPLAY_H

#include "format/event.h"
#include "tools/model/replay/replay_heap.h"
#include "tools/model/replay/replay_state.h"

struct vmt_replay_options {
	struct vmt_stack_source stacks;
	struct vmt_stack_source touch_stacks; /* of sampled page faults: replay_touch.h */
	uint64_t page_bytes;		      /* of the machine that made the trace */
	uint64_t sample_bytes;		      /* of malloc in sampled mode, else 0 */
	const uint64_t *thin_from; /* as vmt_trace_thin_from, and outlives it; NULL: not thinned */
	uint64_t random_id;	   /* of the trace */
	uint32_t folios_always;	   /* of the trace's head */
	uint32_t folios_advised;
	uint64_t held_ticks; /* how long an acquisition waits for its release: replay_heap.h */
	bool by_thread;	     /* calls of different threads are different sites */
	bool forked;	     /* the trace began in a fork child: earlier blocks are unknown */
};

struct vmt_replay *vmt_replay_new(const struct vmt_replay_options *options);
void vmt_replay_free(struct vmt_replay *replay);

/* Whether children that are forked from now on have the replay too: at first they lack its large
 * tables, and must not touch it. */
void vmt_replay_fork(struct vmt_replay *replay, bool with_it);

int vmt_replay_apply(struct vmt_replay *replay, const struct vmt_event *event);

/* These were all threads of the process at that time: kernel ids, rising. */
void vmt_replay_keep_threads(struct vmt_replay *replay, uint64_t time, const uint32_t *tids,
			     size_t count);

/* Frees what is known of live blocks, once nobody will ask and no event will come. */
void vmt_replay_drop_blocks(struct vmt_replay *replay);

/* Whether what events need is so little that it stays in a CPU's caches by itself. */
bool vmt_replay_is_small(const struct vmt_replay *replay);

/* Say that this event will come, and then that it will come soon: what it needs is in the caches by
 * then. */
void vmt_replay_expect(const struct vmt_replay *replay, const struct vmt_event *event);
void vmt_replay_expect_soon(const struct vmt_replay *replay, const struct vmt_event *event);

#endif
