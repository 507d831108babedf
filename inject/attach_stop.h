/*
 * attach_stop.h: a moment in which all threads of a process stand, one of which can make calls
 *
 * The calling thread is urgent (urgent.h) until they have been let go. Single-threaded. Errors:
 * negative errno.
 */
#ifndef VMT_ATTACH_STOP_H
#define VMT_ATTACH_STOP_H

#include "inject/return_frame.h"
#include "inject/stopped_threads.h"
#include "inject/target_memory.h"
#include "inject/urgent.h"

#include <stdint.h>
#include <sys/types.h>

struct vmt_attach_stop {
	const struct vmt_target *target;
	struct vmt_return_frame frame;
	struct vmt_stopped_threads threads;
	pid_t agent;	     /* which makes the calls */
	bool may_do_without; /* the last attempt may find none: agent is 0 then */
	uint32_t
	    tries; /* 0: as many as there is hope, the last is told so; else so many, no last */
	uint64_t began_ns;
	uint64_t patience_ns; /* for how long it is tried to let threads go */
	struct vmt_urgent urgent;
	uint32_t held; /* threads that could not be let go: by this process's end alone */
};

/* While it runs: looks for what guarded calls need. The caller closes it, also after an error. */
int vmt_attach_stop_open(struct vmt_attach_stop *stop, const struct vmt_target *target);

/* Stops it. Tries again, a bounded number of times, while a thread is in the way: check(last) says
 * -EBUSY for that; last: it won't be asked again. After an error the threads have been let go.
 * -EDEADLK: no thread can make calls. -ETIMEDOUT: one does not come to its stop; where it could not
 * be let go either, `held` says so, and this is not called again. */
int vmt_attach_stop_run(struct vmt_attach_stop *stop,
			int (*check)(void *context, const struct vmt_stopped_threads *threads,
				     bool last),
			void *context);

/* Of those that stand: whether two have the same thread pointer, or that can't be told. */
bool vmt_attach_stop_shares_pointer(const struct vmt_attach_stop *stop);

/* Lets them go. One that is still on its way to its stop, as in a call that nothing interrupts, is
 * waited for within bounds, and counted in `held` then: this may be called again. Returns for how
 * long they stood. */
uint64_t vmt_attach_stop_let_go(struct vmt_attach_stop *stop);

void vmt_attach_stop_close(struct vmt_attach_stop *stop);

#endif
