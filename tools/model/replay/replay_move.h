/*
 * replay_move.h: applies mremap, and releases that failed.
 *
 * The part of replay_map.h that puts extents back; called by it alone. 0 or -ENOMEM.
 */
#ifndef VMT_REPLAY_MOVE_H
#define VMT_REPLAY_MOVE_H

#include "format/event.h"
#include "tools/model/replay/replay_state.h"

/* MREMAP_BEGIN and MREMAP. */
int vmt_replay_move_begin(struct vmt_replay *replay, const struct vmt_event *event);
int vmt_replay_move_end(struct vmt_replay *replay, const struct vmt_event *event);

/* MAP_UNDO. */
int vmt_replay_move_undo(struct vmt_replay *replay, const struct vmt_event *event);

#endif
