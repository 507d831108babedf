/*
 * same_thread.h: is the calling thread still the one that a state is of?
 *
 * Code that has no thread-local variables finds a thread's state by its thread pointer, and another
 * thread may get the pointer of one that has ended. The C library keeps a thread's id beside the
 * pointer, written before the thread runs; the Go runtime keeps it in its m. Where that word is
 * found it is read from then on, or else the kernel is asked each time. The word is believed once
 * it has held what the kernel says.
 *
 * A vfork child, which has its parent's pointer and memory, counts as its parent's thread.
 *
 * Facts, x86-64: struct pthread of glibc 2.36 (nptl/descr.h: tid at 0x2d0) and of musl
 * (src/internal/pthread_impl.h: tid at 0x30 in 1.2.3, 0x38 in 1.1). Async-signal-safe.
 */
#ifndef VMT_SAME_THREAD_H
#define VMT_SAME_THREAD_H

#include "capture/core/thread.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(VMT_THREAD_ON_STACK)
/* The state was found by the calling thread's pointer. System calls must be allowed. */
bool vmt_same_thread_is(struct vmt_thread *state);

/* It is not: what was learnt of that thread and its stack does not hold. */
void vmt_same_thread_renew(struct vmt_thread *state);

/* Set-up: another place where the calling thread's id may stand; it answers 0 where there is none,
 * or an address that can be read as long as the thread has its pointer. */
void vmt_same_thread_set_finder(uint64_t (*find)(void));
#endif

#endif
