/*
 * touch_attach.h: opens the events of page faults on the threads of a process
 *
 * For each thread and processor one of minor faults and one of major ones. Threads to come inherit
 * them, which costs the process about three microseconds for each processor and thread that it
 * makes: so it can be given up, and new threads are then looked for now and then, by /proc. Fork
 * children inherit nothing: they get their own. Single-threaded. Errors: negative errno, and then
 * nothing is open.
 */
#ifndef VMT_TOUCH_ATTACH_H
#define VMT_TOUCH_ATTACH_H

#include "collect/traced.h"

/* What a thread or a process costs the one that makes it, and for each processor whose events a
 * thread inherits (measured on x86, Linux 6.18: a thread's creation and end take 16 us without). */
#define VMT_TOUCH_MAKE_NS UINT64_C(2000)
#define VMT_TOUCH_INHERIT_NS UINT64_C(2600)

/* On all threads that there are. */
int vmt_touch_attach_open(struct vmt_touch *touch, struct vmt_traced *process);

/* On those that have come since, up to a number of them; what belongs to ended ones goes. */
void vmt_touch_attach_follow(struct vmt_touch *touch, struct vmt_traced *process);

/* Whether a sample's id is that of an open event of major faults. */
bool vmt_touch_attach_is_major(const struct vmt_touch_target *target, uint64_t id);

uint64_t vmt_touch_attach_cost_ns(const struct vmt_touch *touch,
				  const struct vmt_touch_target *target, bool is_thread);

/* What the events have dropped so far, as far as this image is concerned. */
uint64_t vmt_touch_attach_lost(const struct vmt_touch *touch,
			       const struct vmt_touch_target *target);

/* The events go on with another image of the same process. */
void vmt_touch_attach_hand_over(struct vmt_touch_target *from, struct vmt_touch_target *to);

void vmt_touch_attach_close(struct vmt_touch_target *target);

/* The same, where the process goes on: what they have dropped stays counted. */
void vmt_touch_attach_renounce(struct vmt_touch *touch, struct vmt_touch_target *target);

#endif
