/*
 * threads_inside.h: whether any thread is inside the tracer's own code
 *
 * Each thread says so in its own vmt_thread.depth, by plain stores: nothing that a hook pays for.
 * Here stands where those words are: a thread is entered once for each owner, before it touches the
 * trace for the first time. Whoever wants to unmap the trace says first, in the owner's state, that
 * recording is over, and then waits here until every depth is 0.
 *
 * Why no thread is overlooked: a hook stores its depth and then loads the state; the waiter stores
 * the state and then loads the depths. For a thread that stands in the table, membarrier puts a
 * full barrier between the two accesses on every CPU that runs a thread of this process, so at
 * least one side sees the other. A thread that enters itself for the first time has a full barrier
 * of its own between its entry and its load: either the waiter finds the entry, or the thread finds
 * that recording is over. A thread that finds no place leaves a flag instead, in the same way, and
 * then nothing is ever unmapped.
 *
 * Why none is waited for in vain: a thread that ended inside a hook is unknown to the kernel; one
 * that left a hook by longjmp, or shares its thread state with another, ends the wait by its bound.
 * A depth is read by the kernel for us: the memory may have gone with its thread. (Kernel facts:
 * membarrier(2); Linux kernel/sched/membarrier.c.)
 *
 * Lock-free, async-signal-safe. In a fork child the table holds nobody: its entries are an earlier
 * owner's.
 */
#ifndef VMT_THREADS_INSIDE_H
#define VMT_THREADS_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

/* Enters a thread for an owner's generation. Full barrier. */
void vmt_threads_inside_add(uint32_t thread_id, uint32_t generation, const uint32_t *depth);

/* Whether the calling thread is entered for this generation, with its depth in this word. */
bool vmt_threads_inside_has(uint32_t thread_id, uint32_t generation, const uint32_t *depth);

/* There is a thread that cannot be entered: nobody can be sure any more. Full barrier. */
void vmt_threads_inside_distrust(void);

/* Whether that was said: then no depth tells for certain who is inside. */
bool vmt_threads_inside_is_distrusted(void);

/* Whether a wait could be of any use: nobody is distrusted, and the kernel answers what is asked.
 */
bool vmt_threads_inside_can_tell(void);

/* Waits, at most so long, until no thread but the calling one is inside, and `visitors` is 0 (of
 * guard.h). False: one is, or it can't be known. The caller has stored before that nobody is to go
 * inside any more. */
bool vmt_threads_inside_wait(uint32_t own_thread_id, uint32_t generation, const uint32_t *visitors,
			     uint64_t limit_ns);

#endif
