/*
 * touch_write.h: writes the sampled page faults of a process into its trace
 *
 * Samples that could not be written stay for the next time, as long as the period is the same: a
 * chunk has one for all. Single-threaded.
 */
#ifndef VMT_TOUCH_WRITE_H
#define VMT_TOUCH_WRITE_H

#include "collect/traced.h"

/* With the counts as they were read last. Negative errno: the samples stay. */
int vmt_touch_write_chunk(struct vmt_traced *process, struct vmt_touch *touch);

/* With the counts as they are now. Where the trace takes no more, sampling ends. */
void vmt_touch_write_now(struct vmt_traced *process, struct vmt_touch *touch);

/* The same, and what can't be written is lost: the period is about to change. */
void vmt_touch_write_rest(struct vmt_traced *process, struct vmt_touch *touch);

/* The samples that wait are lost, and counted. */
void vmt_touch_write_give_up(struct vmt_touch_target *target);

#endif
