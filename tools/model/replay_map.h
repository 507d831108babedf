/*
 * replay_map.h: what did an event of the map family make of the address space?
 *
 * The half of replay.h that is about pages; called by it alone. 0 or -ENOMEM.
 */
#ifndef VMT_REPLAY_MAP_H
#define VMT_REPLAY_MAP_H

#include "tools/model/replay.h"

#define VMT_REPLAY_PAGE UINT64_C(4096)

int vmt_replay_map_apply(struct vmt_replay *replay, const struct vmt_event *event);

/* The whole pages that [address, address + length) touches; false when there are none, or the range
 * is not one that a process can have. */
bool vmt_replay_pages(uint64_t address, uint64_t length, uint64_t *start, uint64_t *end);

#endif
