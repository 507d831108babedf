/*
 * remote_call.h: a system call made in a stopped thread of another process
 *
 * The thread is in a stop of ptrace's. Its registers and its signal mask are kept at the begin and
 * given back at the end, whatever was called. Between the two all signals are blocked but SIGKILL
 * and SIGSTOP. No instruction of the program's runs besides the `syscall` itself. x86-64 alone.
 *
 * Two ways. At the stop of an exec nothing has run yet that could be harmed: any `syscall` of the
 * program's will do, and who dies leaves a program that is to be killed (PTRACE_O_EXITKILL). In a
 * program that runs, the calls are guarded: by a frame (return_frame.h) that takes the thread back
 * to what it did, should this process die at any moment.
 *
 * Single-threaded, by the thread that seized the other. Errors: negative errno.
 */
#ifndef VMT_REMOTE_CALL_H
#define VMT_REMOTE_CALL_H

#include "inject/return_frame.h"
#include "inject/target_memory.h"
#include "inject/tracee.h"

#include <stdbool.h>

struct vmt_remote {
	const struct vmt_target *target;
	pid_t tid;
	uint64_t syscall_address;	/* of the two bytes of a `syscall` */
	struct vmt_return_frame *frame; /* NULL: not guarded */
	struct vmt_registers kept;
	uint64_t kept_mask; /* of signals */
	bool changed;	    /* registers and mask are not the thread's own now */
};

/* syscall_address 0: one is looked for in all text, [vdso] included. -ENOENT: there is none. */
int vmt_remote_begin(struct vmt_remote *remote, const struct vmt_target *target, pid_t tid,
		     uint64_t syscall_address);

/* The frame has found its addresses already; the thread is in a PTRACE_EVENT_STOP. */
int vmt_remote_begin_guarded(struct vmt_remote *remote, const struct vmt_target *target, pid_t tid,
			     struct vmt_return_frame *frame);

/* 0: the call was made, *result is the kernel's. Else it is not known whether it was: -ESRCH: the
 * thread has ended; -ETIMEDOUT: it does not come back from the call; -EIO: it stopped otherwise
 * than by the call. */
int vmt_remote_call(struct vmt_remote *remote, long number, const uint64_t words[6],
		    int64_t *result);

/* Lets the thread run code from an address on until it sends itself a signal, the only one that it
 * leaves unblocked then, and is_done. The signal: one that the program neither handles nor blocks,
 * and that does nothing where it is not handled. 0: there is none such; it runs from system call to
 * system call until is_done at the end of one of them, which takes longer. Guarded calls alone: the
 * code goes on with the frame by itself, should this process die, and the thread goes on with it
 * afterwards, whatever came of it. -ETIMEDOUT, -ESRCH, -EIO as above. */
int vmt_remote_run(struct vmt_remote *remote, uint64_t address, int signal,
		   bool (*is_done)(void *context), void *context, uint64_t deadline_ns);

/* Gives registers and mask back. The thread is in a stop then from which it goes on as if nothing
 * had been: a call that it was interrupted in is made again by the kernel as after any stop. */
int vmt_remote_end(struct vmt_remote *remote);

#endif
