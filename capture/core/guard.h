/*
 * guard.h: whether the calling hook may record: enter and leave
 *
 * Three kinds of state, by how long they live:
 *   owner    one private page that the kernel wipes in a fork child (MADV_WIPEONFORK): whose trace
 *            is mapped here. Zero in a child of any kind of fork, so its first event opens a trace
 *            of its own; a vfork child shares the memory and goes on in its parent's.
 *   process  ordinary data, inherited by fork: recording.h, own_memory.h.
 *   thread   thread.h.
 *
 * Every hook is: enter (false: call through, record nothing) - real call and events - leave.
 * Thread and signal safe: a signal handler that interrupts a hook finds the thread inside and
 * passes through. errno is the caller's: a hook that recorded anything restores it.
 *
 * A handler may also leave by longjmp, and the hook it interrupted never comes back. So each entry
 * notes its frame: one that is called from the same frame or further out on the same stack, while
 * the thread seems to be inside, finds that nobody is (vmt_guard_hook_abandoned).
 */
#ifndef VMT_GUARD_H
#define VMT_GUARD_H

#include "base/assert.h"
#include "base/atomic.h"
#include "base/fork_code.h"
#include "capture/core/own_memory.h"
#include "capture/core/recording.h"
#include "capture/core/thread.h"
#include "capture/core/threads_inside.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vmt_owner_state {
	VMT_OWNER_NONE,	   /* wiped by fork, or not begun: the slow path opens a trace */
	VMT_OWNER_OPENING, /* some thread is opening it; others pass through */
	VMT_OWNER_RECORDING,
	VMT_OWNER_INERT, /* off for good in this process */
};

struct vmt_owner {
	uint32_t state;	     /* enum vmt_owner_state; CAS NONE -> OPENING, then release store */
	uint32_t pid;	     /* of the recorded process, also as a vfork child sees it */
	uint32_t generation; /* differs from every earlier owner's that this thread may remember */
	uint32_t seen_pid;   /* of this process, if its pid namespace is known; else 0 */
	uint32_t visitors;   /* see vmt_guard_visit */
};

/* Inherited by fork. */
struct vmt_guard {
	bool no_syscalls;    /* the program installed a seccomp filter */
	bool inert;	     /* for good, and for fork children as well */
	bool owner_wiped;    /* the kernel wipes the owner page in fork children */
	uint32_t closed;     /* to visitors, for good: the trace may be unmapped */
	uint32_t generation; /* of the latest owner, so a child's is always new */
};

extern struct vmt_guard vmt_guard;

extern struct vmt_owner *vmt_guard_owner; /* never NULL: points to a zero owner before set-up */

/* Whether hooks may make system calls of their own: under a seccomp filter they make none. */
static inline bool
vmt_guard_syscalls_allowed(void)
{
	return !vmt_guard.no_syscalls && vmt_thread_mine()->no_syscalls == 0;
}

/* The rest of entering, with depth set: opens a trace in a fork child, introduces a thread that is
 * new to this owner. False: nothing is recorded, and depth is 0 again. */
bool vmt_guard_enter_slow(struct vmt_thread *thread);

/* How a fork child comes to a trace of its own; false: it is not recorded. Set-up. */
void vmt_guard_set_child_opener(bool (*open)(void));

/* Learns the thread's id and enters it in the table of threads_inside.h. */
void vmt_guard_introduce_slow(struct vmt_thread *thread);

/* Keeps the trace mapped until it is let go, whether or not the thread is inside already. False:
 * nothing is recorded, and nothing is to be let go. */
bool vmt_guard_hold(uint32_t *outer);
VMT_FORK_CODE void vmt_guard_let_go(uint32_t outer);

/* In a fork child that may get a trace and has none yet: nothing that this thread calls opens one
 * until it is let go, so the parent's stays mapped. False: nothing is to be let go. */
VMT_FORK_CODE bool vmt_guard_hold_unopened(uint32_t *outer);

/* For who reads the session and can't hold the trace: a vfork child, which may not leave its
 * parent's thread inside, a fork child without a trace, a process that is not recorded. Visitors
 * are counted; who wants to unmap lets no more in, and waits for those that are there. One that is
 * killed in a vfork child, or leaves by longjmp, stays counted, and then nothing is ever unmapped.
 * A fork in a signal handler meanwhile takes the visit along.
 * False: the trace may go, and the visit has not begun. */
bool vmt_guard_visit(void);
void vmt_guard_end_visit(void);
/* Before recording ends and the trace is unmapped. */
void vmt_guard_close(void);

/* Whether a handler of the program has interrupted this thread while it was inside by another of
 * its states: call_stacks.h. What the thread reads then must stay. */
bool vmt_guard_is_interrupted(void);

/* Counts a call that was made inside a hook and passed through. */
void vmt_guard_count_nested(void);

/* Adds bits of vmt_head.notes, where anything is recorded. Atomic. */
void vmt_guard_add_note(uint32_t note);

/* Whether the hook that entered at one frame must have been left by a longjmp, now that the same
 * thread calls another at this frame: stacks grow down, so what was called from within it lies
 * below. A handler on an alternate stack may lie above and is told apart by asking the kernel.
 * Counts it. After a wrong answer an event is missed, or a nested call recorded, and depth no
 * longer tells who is inside: so from then on the trace is never unmapped (threads_inside.h). */
bool vmt_guard_hook_abandoned(uint64_t entered_frame, const void *frame);

/* Whether this process is recorded, and knows this thread. Only after depth was set can the answer
 * be relied on. */
static inline bool
vmt_guard_is_at_work(const struct vmt_thread *thread)
{
	return vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
	       thread->generation == vmt_guard_owner->generation;
}

/* A fork child that has no trace yet (or nobody is recorded). A call that takes no memory need not
 * open one: what is there when it is opened is written down then. */
static inline bool
vmt_guard_is_unopened(void)
{
	return vmt_atomic_load_relaxed(&vmt_guard_owner->state) == VMT_OWNER_NONE;
}

/* Whether the calling hook may record. True must be paired with vmt_guard_leave. The compiler
 * barriers keep the guard around everything between (a leaf-declared libc function may call back
 * into a hook). */
static inline bool
vmt_guard_enter(void)
{
	struct vmt_thread *thread = vmt_thread_mine();

	if (__builtin_expect(thread->depth != 0, 0) &&
	    !vmt_guard_hook_abandoned(thread->entered_frame, __builtin_frame_address(0))) {
		vmt_guard_count_nested();
		return false;
	}
	thread->entered_frame = (uint64_t)__builtin_frame_address(0);
	/* In this order: see threads_inside.h. */
	thread->depth = 1;
	__asm__ volatile("" ::: "memory");
	if (__builtin_expect(!vmt_guard_is_at_work(thread), 0))
		return vmt_guard_enter_slow(thread);
	return true;
}

static inline void
vmt_guard_leave(void)
{
	__asm__ volatile("" ::: "memory");
	vmt_assert(vmt_thread_mine()->depth == 1 || vmt_threads_inside_is_distrusted());
	vmt_thread_mine()->depth = 0;
}

/* In a fork child, from fork hooks: lets its first block take the long way, where its trace is
 * opened (a distance drawn anew is as good as the parent's: the sampler has no memory), does by
 * hand what the wiped owner page does by itself where the kernel cannot wipe, and counts the visit
 * that this thread has begun. */
VMT_FORK_CODE void vmt_guard_forked(void);

/* Makes the owner page. False: no memory. Constructor only. */
bool vmt_guard_set_up(void);

/* Says that recording begins (constructor, fork child). Orders all of process before it. */
void vmt_guard_begin_recording(void);

/* Turns recording off for good, in this process and its future fork children: an impossible state
 * was met, or a step failed. With VMTRACE_VERBOSE says why (NULL = nothing) in a line on stderr. */
void vmt_guard_go_inert(const char *why);

#endif
