/*
 * replay_state.h: the state that a replay keeps.
 *
 * What the parts of the replay change and what a snapshot is joined with. replay.h makes and frees
 * it, and says who owns what. One thread at a time.
 */
#ifndef VMT_REPLAY_STATE_H
#define VMT_REPLAY_STATE_H

#include "format/event.h"
#include "format/thin.h"
#include "tools/model/space/blocks.h"
#include "tools/model/space/module_history.h"
#include "tools/model/space/sites.h"
#include "tools/model/space/space.h"
#include "tools/model/space/threads.h"
#include "tools/model/space/touched.h"
#include "tools/model/space/touchers.h"

struct vmt_advised_pages;
struct vmt_block_touches_sink;
struct vmt_held_events;
struct vmt_unfinished_calls;
struct vmt_temporary_blocks;
struct vmt_undo;

struct vmt_replay {
	struct vmt_module_history *history;
	struct vmt_sites *sites;
	struct vmt_space *space;
	struct vmt_blocks *blocks;
	struct vmt_threads *threads;
	struct vmt_advised_pages *advised;
	struct vmt_touched *touched;
	struct vmt_touchers *touchers;
	struct vmt_sites *touch_sites; /* whose index a toucher is */
	struct vmt_unfinished_calls *under_way;

	/* contradictions */
	uint64_t double_acquisitions; /* of an address or page that was not released */
	uint64_t unknown_releases;
	uint64_t malformed;

	/* to be told */
	uint64_t early_acquisitions; /* stamped before the release of their address */
	uint64_t early_releases;     /* of blocks and ranges from before the trace began */
	uint64_t unlooked_releases;  /* whose committed bytes nobody asked for */
	uint64_t sampled_looks;	     /* whose committed bytes are an estimate */
	uint64_t forks;		     /* children made, by the parent's word */

	/* the heap's level of format/thin.h */
	uint32_t thin_level;
	const uint64_t *thin_from; /* by level: since when */
	uint64_t random_id;
	double thinned_bytes; /* at the join: variance of what stands for several, by its bytes */

	/* private */
	struct vmt_undo *undo;
	struct vmt_temporary_blocks *temporary; /* NULL: not all blocks are recorded */
	struct vmt_held_events *held;
	uint64_t held_ticks;		/* how long an acquisition waits for its release */
	struct vmt_block *realloc_undo; /* by the 16 bits of a thread id that heap events carry */
	uint64_t calls;
	uint64_t calls_at_fork; /* the last one: later calls' memory is not from before it */
	uint64_t lowest_module; /* address of one that was loaded; 0: none was */
	uint64_t page_bytes;	/* of the machine that made the trace */
	uint64_t sample_bytes;	/* 0: every block is recorded */
	uint32_t folios_always; /* of the trace's head */
	uint32_t folios_advised;
	bool forked;
	const struct vmt_block_touches_sink *block_touches; /* NULL: nobody wants to be told */
	uint32_t *threads_by_bits; /* kernel ids by their 16 low bits; NULL: threads are one */
};

#define VMT_REPLAY_ADDRESS_END                                                                     \
	(UINT64_C(1) << 56) /* of user addresses, with five-level page tables */

/* The whole pages that [address, address + length) touches; false when there are none, or the range
 * is not one that a process can have. */
bool vmt_replay_state_pages(const struct vmt_replay *replay, uint64_t address, uint64_t length,
			    uint64_t *start, uint64_t *end);

/* The site of a call that acquires memory. Where threads are told apart, the 16 low bits of the
 * caller's kernel id stand in the place of an advice: events of the heap have no more of it. */
static inline struct vmt_site_key
vmt_replay_state_key(const struct vmt_replay *replay, const struct vmt_event *event)
{
	return (struct vmt_site_key){.kind = event->kind,
				     .stack = event->stack,
				     .advice =
					 replay->threads_by_bits ? (uint16_t)event->thread : 0};
}

/* Whether all blocks are recorded. */
static inline bool
vmt_replay_state_is_whole(const struct vmt_replay *replay)
{
	return replay->sample_bytes == 0 && replay->thin_level == 0;
}

#endif
