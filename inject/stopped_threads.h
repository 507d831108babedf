/*
 * stopped_threads.h: stops all threads of a process, and lets them go
 *
 * Seizes each thread that /proc/PID/task shows (ptrace(2), PTRACE_SEIZE) until no new one appears;
 * those that are made meanwhile are stopped at their birth. No signal is sent: a program that
 * stands stopped by one stays so, and one that is delivered in that moment is delivered when the
 * thread is let go. A system call that ends with EINTR for nothing but our stop is made again
 * (interrupted_call.h). Should this process die, the kernel lets all threads go.
 *
 * All calls for one process come from one thread of this one, as ptrace wants it. Errors: negative
 * errno.
 */
#ifndef VMT_STOPPED_THREADS_H
#define VMT_STOPPED_THREADS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum vmt_thread_state {
	VMT_STOPPED_THREADS_RUNNING, /* seized, on its way to a stop */
	VMT_STOPPED_THREADS_STAND,   /* between two instructions, or before a call is made again */
	VMT_STOPPED_THREADS_SIGNALLED, /* stopped where a signal is about to be delivered */
	VMT_STOPPED_THREADS_GONE,      /* it has ended, or was let go */
};

struct vmt_stopped_thread {
	pid_t tid;
	uint8_t state;	/* enum vmt_thread_state */
	uint8_t signal; /* SIGNALLED: which */
	bool is_other;	/* of a process that one of the threads made meanwhile, and that is none of
			   it */
};

struct vmt_stopped_threads {
	pid_t pid;
	struct vmt_buffer list; /* of struct vmt_stopped_thread */
	uint32_t count;
};

/* *threads is all zeros. Waits to deadline_ns (CLOCK_MONOTONIC). 0: all stand. After an error all
 * that stand are let go, and vmt_stopped_threads_let_go says whether others are left: -ESRCH: there
 * is no such process; -EPERM: it may not be traced, or is already; -ETIMEDOUT: a thread does not
 * stop, such as one that waits for its vfork child. */
int vmt_stopped_threads_stop(struct vmt_stopped_threads *threads, pid_t pid, uint32_t options,
			     uint64_t deadline_ns);

static inline struct vmt_stopped_thread *
vmt_stopped_threads_list(const struct vmt_stopped_threads *threads)
{
	return (struct vmt_stopped_thread *)(void *)threads->list.bytes;
}

/* Lets all go. How many still have to come to a stop before they can be: where it is not 0, this
 * is called again from time to time. */
uint32_t vmt_stopped_threads_let_go(struct vmt_stopped_threads *threads);

void vmt_stopped_threads_close(struct vmt_stopped_threads *threads);

#endif
