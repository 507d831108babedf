/*
 * alternate_stacks.h: may the calling thread be on an alternate signal stack that looks like its
 * own?
 *
 * A handler's stack may be small, and lie in a frame of the stack around it. Nobody sees that from
 * the stack pointer. The kernel knows it, and is asked once a thread: threads are born without an
 * alternate stack. From then on each sigaltstack of the program is looked at before it is made.
 * Once one asked for a stack that lies where calls are recorded on the caller's (stack_bounds.h),
 * the kernel is asked at each call, by all threads. Of a stack with SS_AUTODISARM the kernel does
 * not tell that it is in use: after one of these there, every stack may be one.
 *
 * The kernel is asked at each call as well where a sigaltstack may have been missed: no jump could
 * be put into its place, or no stack was free to look at it. What is not seen: a stack that is
 * changed in a signal's frame and set by the return from the handler; a sigaltstack made by code
 * that was loaded or written later, past the C library's function.
 *
 * Facts: Linux kernel/signal.c (do_sigaltstack, on_sig_stack). Only in code compiled with
 * VMT_THREAD_ON_STACK. Async-signal-safe; what was found out is never taken back.
 */
#ifndef VMT_ALTERNATE_STACKS_H
#define VMT_ALTERNATE_STACKS_H

#include "capture/core/thread.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(VMT_THREAD_ON_STACK)
/* Set-up. are_seen: all calls of sigaltstack come by. */
void vmt_alternate_stacks_set_up(bool are_seen);

/* The program is about to make one; wanted: its first argument, which may be any address. */
void vmt_alternate_stacks_note(uint64_t wanted);

/* Of the calling thread, whose state it is and who is known to this owner. True, too, where nobody
 * may be asked. */
bool vmt_alternate_stacks_may_be_used(struct vmt_thread *thread);
#endif

#endif
