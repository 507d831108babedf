/*
 * touch_walk.h: the stacks of a traced process's page faults
 *
 * What touch_unwind.h needs of a process, kept with it from when its events are opened until they
 * are closed. Without memory for that, its stacks are unknown. Single-threaded.
 */
#ifndef VMT_TOUCH_WALK_H
#define VMT_TOUCH_WALK_H

#include "collect/touch_record.h"
#include "collect/traced.h"

/* Reads which code lies where, in the image that runs now. */
void vmt_touch_walk_begin(struct vmt_traced *process, struct vmt_frame_rules *rules);

void vmt_touch_walk_take(struct vmt_traced *process, const struct vmt_touch_fault *fault,
			 struct vmt_touch_stack *stack);

/* Code was mapped, in order of time with the faults. */
void vmt_touch_walk_mapped(struct vmt_traced *process, const struct vmt_mapping *mapping);

void vmt_touch_walk_end(struct vmt_traced *process);

#endif
