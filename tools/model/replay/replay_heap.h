/*
 * replay_heap.h: applies events of the heap.
 *
 * The half of replay.h that is about blocks. An acquisition of a live block waits for its release
 * (held_events.h), at most `held_ticks` and VMT_HELD_EVENTS_MOST at a time: docs/ring.md says why
 * this suffices. Then it counts as a double acquisition. 0 or -ENOMEM. One thread at a time.
 */
#ifndef VMT_REPLAY_HEAP_H
#define VMT_REPLAY_HEAP_H

#include "format/event.h"
#include "tools/model/replay/replay_state.h"

/* Of `held_ticks`, about. */
#define VMT_REPLAY_HEAP_HELD_NS UINT64_C(100000)

/* Called by replay.h alone. */
int vmt_replay_heap_apply(struct vmt_replay *replay, const struct vmt_event *event);

/* Nothing waits any longer: once no event will come. */
int vmt_replay_heap_settle(struct vmt_replay *replay);

/* Counts each site's live blocks, once no event will come. */
void vmt_replay_tally_live(struct vmt_replay *replay);

/* Brings the heap to what is known of it at that time: with the events, and before a look at it. */
int vmt_replay_reach(struct vmt_replay *replay, uint64_t time);

/* How many blocks of this size a recorded one stands for; 1 where all are recorded. */
double vmt_replay_weight(const struct vmt_replay *replay, uint64_t size);
/* Whether all of this size are. */
bool vmt_replay_is_exact(const struct vmt_replay *replay, uint64_t size);

#endif
