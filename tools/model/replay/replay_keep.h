/*
 * replay_keep.h: a look at a replay at one more time, which leaves nothing behind.
 *
 * A join with a snapshot adds to the replay: figures to the sites, what unfinished calls were lent,
 * how large threads' stacks are. From vmt_replay_keep to vmt_replay_restore a join is as if it were
 * the only one, and then the replay is as it was. No event may be applied between.
 *
 * Costs a copy of the sites, and one of the live blocks where the heap was thinned between its last
 * event and the look. 0 or -ENOMEM; after a failure only free is left to do. One thread at a time.
 */
#ifndef VMT_REPLAY_KEEP_H
#define VMT_REPLAY_KEEP_H

#include "tools/model/replay/replay_state.h"
#include "tools/model/replay/unfinished_calls.h"

/* Zero it first; it can be used again, and is freed in the end. */
struct vmt_replay_kept {
	struct vmt_sites_kept sites;
	struct vmt_unfinished_calls_kept calls;
	struct vmt_blocks *blocks; /* NULL: the replay's own are as they were */
	uint64_t *stack_bytes;	   /* held by each thread's stack */
	size_t stack_room;
	size_t stack_count;
	uint64_t call_count;
	double thinned_bytes;
	uint32_t thin_level;
};

/* Brings the heap to that time, as vmt_replay_reach does. */
int vmt_replay_keep(struct vmt_replay *replay, uint64_t time, struct vmt_replay_kept *kept);
void vmt_replay_restore(struct vmt_replay *replay, struct vmt_replay_kept *kept);
void vmt_replay_kept_free(struct vmt_replay_kept *kept);

#endif
