/*
 * replay_touch.h: applies sampled page faults.
 *
 * A toucher is a site of its own (sites.h, kind 0): its COUNT is samples, its UNSHARED the bytes
 * that it wrote to first after a fork. Which pages are whose is in touchers.h. 0 or -ENOMEM.
 */
#ifndef VMT_REPLAY_TOUCH_H
#define VMT_REPLAY_TOUCH_H

#include "format/touch.h"
#include "tools/model/replay/replay_state.h"

/* The sample's stack is an id of the replay's touch_stacks. It stands for `period` faults. */
int vmt_replay_touch_apply(struct vmt_replay *replay, const struct vmt_touch_sample *sample,
			   uint64_t period);

#endif
