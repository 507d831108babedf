/*
 * replay_map.h: applies events of the map family.
 *
 * The half of replay.h that is about pages; called by it alone. 0 or -ENOMEM.
 */
#ifndef VMT_REPLAY_MAP_H
#define VMT_REPLAY_MAP_H

#include "format/event.h"
#include "tools/model/replay/replay_state.h"

int vmt_replay_map_apply(struct vmt_replay *replay, const struct vmt_event *event);

/* Bytes of pages that an advice which gives back took out of the process. Without a look after the
 * call: all that were there, as the kernel says that it was done; of MADV_FREE once it wants them.
 */
uint64_t vmt_replay_map_taken(const struct vmt_event *event);

#endif
