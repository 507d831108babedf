/*
 * replay_pair.h: a block that the very next event frees.
 *
 * Many blocks live for a moment: their release directly follows their acquisition in the order of
 * time. Both are applied as one step. It leaves what the two would leave one after the other, but
 * the block never enters the table of live ones. 0 or -ENOMEM. One thread at a time.
 */
#ifndef VMT_REPLAY_PAIR_H
#define VMT_REPLAY_PAIR_H

#include "format/event.h"
#include "tools/model/replay/replay_state.h"

#define VMT_REPLAY_PAIR_ACQUISITIONS                                                               \
	(UINT64_C(1) << VMT_EVENT_MALLOC | UINT64_C(1) << VMT_EVENT_CALLOC |                       \
	 UINT64_C(1) << VMT_EVENT_POSIX_MEMALIGN | UINT64_C(1) << VMT_EVENT_ALIGNED_ALLOC |        \
	 UINT64_C(1) << VMT_EVENT_MEMALIGN | UINT64_C(1) << VMT_EVENT_VALLOC |                     \
	 UINT64_C(1) << VMT_EVENT_PVALLOC | UINT64_C(1) << VMT_EVENT_NEW)
#define VMT_REPLAY_PAIR_RELEASES (UINT64_C(1) << VMT_EVENT_FREE | UINT64_C(1) << VMT_EVENT_DELETE)

/* Whether two events that follow each other are a thread's acquisition of a block and its release.
 * Both are of the heap. Of realloc neither is: it may fail, and be undone. */
static inline bool
vmt_replay_pair_is(const struct vmt_event *acquire, const struct vmt_event *release)
{
	return acquire->address == release->address &&
	       ((acquire->thread ^ release->thread) & 0xffff) == 0 &&
	       (VMT_REPLAY_PAIR_ACQUISITIONS >> acquire->kind & 1) != 0 &&
	       (VMT_REPLAY_PAIR_RELEASES >> release->kind & 1) != 0;
}

/* Applies both. */
int vmt_replay_pair_apply(struct vmt_replay *replay, const struct vmt_event *acquire,
			  const struct vmt_event *release);

#endif
