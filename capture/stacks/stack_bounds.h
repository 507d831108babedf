/*
 * stack_bounds.h: finds which addresses around a stack pointer can be read
 *
 *   main thread   [sp, end of [stack]), learnt from /proc/self/maps at load; the kernel keeps other
 *                 mappings out of the gap below it (mmap_base, Linux arch/x86/mm/mmap.c: at least
 *                 128 MiB or the stack limit)
 *   other thread  [sp, its thread control block), which glibc puts at the top of the stack; every
 *                 page between is probed once and the range kept with the thread, which cannot lose
 *                 its own stack while it runs. Where a stack without a guard page begins is known
 *                 by stack_floors.h. Of one in whose creation nobody took part, what lies right
 *                 below counts as part of it until the thread unmaps some of it.
 *   goroutine     [sp, the end of the stack that the runtime says this thread's goroutine has)
 *   anything else (alternate signal stack, coroutine, clone with its own stack): a page is probed
 *                 each time before it is read
 *
 * A probe is a rt_sigprocmask with an impossible `how` and the address as the new set: the kernel
 * copies the set first (EFAULT) and refuses `how` after (EINVAL), so nothing changes and nothing
 * faults. Where hooks make no system calls, an unknown stack ends with its present page.
 *
 * No allocation; async-signal-safe: a handler that interrupts a writer of the thread's range sees
 * either range, each of them valid.
 */
#ifndef VMT_STACK_BOUNDS_H
#define VMT_STACK_BOUNDS_H

#include "unwind/unwind_step.h"

#include <stdbool.h>
#include <stdint.h>

/* At load: the main thread's stack, and whether probes work here. */
void vmt_stack_bounds_set_up(void);

/* Whether a word there can be read now; false where nobody may be asked. */
bool vmt_stack_bounds_can_be_read(uint64_t address);

/* What other threads than the main one have of their stacks at least, nearly always. */
#define VMT_STACK_TOP_BYTES (UINT64_C(64) << 10)

/* Whether sp, in use right now, points into the main thread's stack, or in another thread less than
 * 64 KiB below its control block, with 6 KiB below it that belong to the stack too. That is not
 * known where neither the thread's creator nor the C library told where the stack begins. Where the
 * main stack is full, or a coroutine's or a signal's lies in it, there is no more room than the
 * program has left (alternate_stacks.h). */
bool vmt_stack_bounds_is_roomy(uint64_t sp, uint32_t main_thread_id);

/* Whether that may be said of a stack pointer of the calling thread in this range. */
bool vmt_stack_bounds_may_be_roomy(uint64_t address, uint64_t bytes);

/* What can be read of the stack that sp, in use right now, points into, from sp upwards. Written in
 * place: a copy of such a struct by words twice as wide waits for the stores of its parts. */
void vmt_stack_bounds_find(struct vmt_stack_bounds *bounds, uint64_t sp);

static inline struct vmt_stack_bounds
vmt_stack_bounds_of(uint64_t sp)
{
	struct vmt_stack_bounds bounds;

	vmt_stack_bounds_find(&bounds, sp);
	return bounds;
}

/* The calling thread is about to unmap or protect these bytes: what is known of its stack does not
 * hold where they are part of it. Another thread's part is not looked at. */
void vmt_stack_bounds_forget(uint64_t address, uint64_t length);

/* vmt_stack_bounds_of for a stack pointer that was found in a signal frame: it may be off the
 * stack's end (a handler that reports a stack overflow), and the bounds begin at the first page
 * that can be read.
 */
struct vmt_stack_bounds vmt_stack_bounds_of_unknown(uint64_t sp);

/* Takes the bounds of the stack that an address of another stack than the one in use lies in, from
 * that address on. It may be anything. False: there is none, or none that can be read. */
bool vmt_stack_bounds_change(struct vmt_stack_bounds *bounds, uint64_t address);

/* Grows the bounds upwards to the page of an address, if all pages up to there can be read: what
 * lies behind an unreadable page is another stack. */
bool vmt_stack_bounds_extend(struct vmt_stack_bounds *bounds, uint64_t address);

#endif
