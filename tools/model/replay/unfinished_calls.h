/*
 * unfinished_calls.h: long calls that had not returned at a snapshot.
 *
 * A call that maps memory and fills it (MAP_POPULATE, MAP_LOCKED, mremap, pthread_create with large
 * thread-local storage) is written down when it has returned. Pages that a snapshot finds before
 * that have no owner yet. Such a call writes LONG_BEGIN (or MREMAP_BEGIN) before: from then to its
 * end it is under way here. So is a break that shrinks (BRK_BEGIN), and a large munmap or shmdt,
 * which says of itself (VMT_MARK_ENDS) that LONG_END will follow: their pages are there until the
 * call has got to them.
 *
 * For a snapshot, memory that no event explains is lent to the calls under way: where a mapping has
 * the kind, the protection and the length (and the place, where the call names one) of a call, or
 * is as long as several such calls together, which the kernel joins. Two calls that are alike in
 * all this may be taken for each other. What is still mapped of what a call releases
 * is lent to those who owned it. vmt_unfinished_calls_take_back ends the loan: the events that
 * follow find the space as it was.
 *
 * Memory is bounded: calls beyond VMT_UNFINISHED_CALLS_MOST at once push the oldest out. 0 or
 * -ENOMEM. One thread at a time.
 */
#ifndef VMT_UNFINISHED_CALLS_H
#define VMT_UNFINISHED_CALLS_H

#include "format/event.h"
#include "tools/model/replay/replay_state.h"
#include "tools/read/trace/snapshot_decode.h"

#define VMT_UNFINISHED_CALLS_MOST 1024u

struct vmt_unfinished_calls;

struct vmt_unfinished_calls *vmt_unfinished_calls_new(uint64_t page_bytes);
void vmt_unfinished_calls_free(struct vmt_unfinished_calls *calls);

/* Begins a call with one of these events; every other event of the thread in the map's ring ends
 * its call. */
void vmt_unfinished_calls_apply(struct vmt_unfinished_calls *calls, const struct vmt_event *event);
size_t vmt_unfinished_calls_count(const struct vmt_unfinished_calls *calls);

int vmt_unfinished_calls_lend(struct vmt_replay *replay, const struct vmt_snapshot *snapshot);
int vmt_unfinished_calls_take_back(struct vmt_replay *replay);

/* Whether a thread's stack was lent at this address: it is a call of pthread_create's. */
bool vmt_unfinished_calls_has_stack(const struct vmt_unfinished_calls *calls, uint64_t address);

/* What a loan notes of each call, until restore as if none had been lent anything: a loan in
 * between leaves nothing behind. Zero it first; it can be used again, and is freed in the end. */
struct vmt_unfinished_calls_kept {
	struct vmt_lent *lent;
	size_t room;
};

int vmt_unfinished_calls_keep(struct vmt_unfinished_calls *calls,
			      struct vmt_unfinished_calls_kept *kept);
void vmt_unfinished_calls_restore(struct vmt_unfinished_calls *calls,
				  const struct vmt_unfinished_calls_kept *kept);
void vmt_unfinished_calls_kept_free(struct vmt_unfinished_calls_kept *kept);

/* When no event will come: calls that never ended have reserved what they were lent. */
void vmt_unfinished_calls_settle(struct vmt_replay *replay);

#endif
