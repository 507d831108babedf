/*
 * heap_change.h: what many events of the heap do to a replay, as bytes.
 *
 * A copy of the heap's part of a replay is taken; later the difference between it and the replay is
 * written down, and another replay that stands where the copy was taken is brought to where the
 * first one stood then. What is in it: figures of call sites, live blocks, the last block of each
 * thread, reallocations that may fail, events that wait. What else the events did to the replay,
 * counters and pages of large blocks, is the caller's. So are new call sites: they are there before
 * a change is applied, with the same numbers.
 *
 * For replays of which every block is recorded (vmt_replay_state_is_whole): all figures are whole
 * numbers, whose sums do not depend on an order. The order in which blocks lie in their table may
 * differ.
 *
 * A copy has the size of the table of blocks and 2 MiB, and takes the time of it. Bytes to be
 * applied are untrusted: -EBADMSG, and the replay is of no use then. Else 0 or -ENOMEM. One thread
 * at a time.
 */
#ifndef VMT_HEAP_CHANGE_H
#define VMT_HEAP_CHANGE_H

#include "tools/byte_buffer.h"
#include "tools/model/replay/replay_state.h"

struct vmt_heap_copy;

struct vmt_heap_copy *vmt_heap_copy_new(void);
void vmt_heap_copy_free(struct vmt_heap_copy *copy);

/* Takes the replay as it is now. */
int vmt_heap_copy_take(struct vmt_heap_copy *copy, const struct vmt_replay *replay);
/* Writes down what has changed since. */
void vmt_heap_copy_tell(const struct vmt_heap_copy *copy, const struct vmt_replay *replay,
			struct vmt_byte_buffer *buffer);

/* Reads a change from *at on, which moves behind it, and applies it. */
int vmt_heap_change_apply(struct vmt_replay *replay, const unsigned char **at,
			  const unsigned char *end);

/* An event as bytes; false where they are none of the heap that a replay may take. */
void vmt_heap_change_put_event(struct vmt_byte_buffer *buffer, const struct vmt_event *event);
bool vmt_heap_change_get_event(const unsigned char **at, const unsigned char *end,
			       struct vmt_event *event);

#endif
