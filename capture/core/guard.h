/*
 * guard.h: is this process being recorded, and does this thread sit inside a hook already?
 *
 * Three kinds of state, by how long they live:
 *   owner    one private page that the kernel wipes in a fork child (MADV_WIPEONFORK): whose trace
 *            is mapped here. Zero in a child of any kind of fork, so its first event opens a trace
 *            of its own; a vfork child shares the memory and goes on in its parent's.
 *   process  ordinary data, inherited by fork: configuration, handles on the mapped trace.
 *   thread   initial-exec TLS, zero at birth, no destructor.
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

#include "base/maps_line.h"
#include "base/session.h"
#include "format/head.h"
#include "format/stack_table.h"

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
};

#define VMT_OWN_MEMORY_RANGES 32u
#define VMT_RECORDING_PATH_BYTES VMT_SESSION_PATH_BYTES

struct vmt_recording {
	/* configuration, read once from the environment */
	uint32_t malloc_mode; /* enum vmt_malloc_mode */
	uint64_t malloc_sample_bytes;
	uint32_t stack_depth;
	uint32_t stack_mode; /* enum vmt_stack_mode */
	bool verbose;
	bool follow_fork;
	bool follow_exec;
	bool clock_is_tsc;
	bool no_syscalls;  /* the program installed a seccomp filter: see vmt_guard_syscalls_allowed
			    */
	bool locks_future; /* mlockall(MCL_FUTURE) is in force, or was */
	bool go;	   /* VMTRACE_GO: the Go runtime's own system calls are wanted */
	bool inert;	   /* for good, and for fork children as well */
	bool owner_wiped;  /* the kernel wipes the owner page in fork children */
	int64_t rseq_offset; /* of the C library's area, from the thread pointer; 0 = none */
	uint32_t generation; /* of the latest owner; inherited, so a child's is always new */
	uint32_t execs;	     /* threads that are about to exec */

	/* the trace of this process image */
	uint64_t random_id;    /* the head's */
	struct vmt_head *head; /* mapped while recording: use it inside, or held */
	uint64_t head_mapped_bytes;
	uint64_t idle_events; /* of a fork child, as many as it began with; 0 = a fresh image */
	uint64_t stack_start; /* field 28 of /proc/PID/stat */
	struct vmt_ring_view rings[VMT_MAX_SHARDS][VMT_RING_CLASSES];
	uint32_t shard_mask; /* shards - 1 */
	/* What emit.c remembers of each ring: tail + 1 when the collector was last woken, and when
	 * a wait was last in vain; 0 = never. */
	uint64_t woken_tail[VMT_MAX_SHARDS][VMT_RING_CLASSES];
	uint64_t vain_tail[VMT_MAX_SHARDS][VMT_RING_CLASSES];
	/* head->heartbeat_ns + 1 when it was found late by the clock, and when it had stood still
	 * all through a wait; 0 = never */
	uint64_t late_beat;
	uint64_t stale_beat;
	struct vmt_stack_table stacks;
	struct vmt_session *session;	     /* NULL: nobody collects */
	const struct vmt_session_slot *slot; /* of the announcement; NULL: not yet announced */
	char trace_path[VMT_RECORDING_PATH_BYTES];

	/* anonymous mappings that are the tracer's own: see vmt_own_memory_map_listed */
	struct vmt_own_range own[VMT_OWN_MEMORY_RANGES];
	uint32_t own_count;
};

struct vmt_last_walk;

struct vmt_thread {
	uint32_t depth;		/* > 0: inside a hook */
	uint32_t thread_id;	/* 0: not asked yet */
	uint32_t generation;	/* of the owner for which thread_id and stack bounds are valid */
	uint32_t sampler_ready; /* the generation that seeded `random`, 0 = none */
	int64_t sample_left;	/* bytes until the next sample; <= 0 means: take one */
	uint64_t random;
	uint64_t stack_low; /* bounds of the thread's stack, 0 = not known */
	uint64_t stack_high;
	uint32_t heap_depth;  /* > 0: inside the next allocator, called by a heap hook */
	uint32_t heap_calls;  /* heap hooks that recorded or decided not to, mod 2^32 */
	uint32_t resolving;   /* looking up next definitions: allocate from the arena */
	uint32_t no_syscalls; /* a vfork child, which has this thread's state, has a filter */
	bool refused;	      /* a call after ours had gone: retreat.c */
	uint32_t walks;	      /* walks without a last one to go by, mod 2^32 */
	uint64_t foreign_low; /* [low, high): lately seen not to be in the thread's own stack */
	uint64_t foreign_high;
	uint64_t entered_frame;		 /* frame of the hook that set depth */
	uint64_t heap_frame;		 /* frame of the hook that set heap_depth */
	struct vmt_last_walk *last_walk; /* this thread's part of the pool, see last_walk.h */
};

_Static_assert(sizeof(struct vmt_thread) <= 256, "TLS is scarce: it comes out of every thread");

extern struct vmt_owner *vmt_guard_owner; /* never NULL: points to a zero owner before set-up */
extern struct vmt_recording vmt_recording;
extern __thread struct vmt_thread vmt_guard_thread __attribute__((tls_model("initial-exec")));

/* Whether hooks may make system calls of their own: under a seccomp filter they make none. */
static inline bool
vmt_guard_syscalls_allowed(void)
{
	return !vmt_recording.no_syscalls && vmt_guard_thread.no_syscalls == 0;
}

/* Whether there is a thread state to be touched, errno included. A child of clone with CLONE_VM and
 * a thread area of zeros (Chromium's sandbox has one call chroot and _exit) runs on our memory
 * without: what lies where its thread state would be is the stack of another. */
static inline bool
vmt_guard_has_thread(void)
{
#if defined(__x86_64__)
	uint64_t first_word; /* by the ABI, the thread area's own address */

	__asm__("movq %%fs:0, %0" : "=r"(first_word));
	return first_word != 0;
#else
	return true;
#endif
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
void vmt_guard_let_go(uint32_t outer);

/* Counts a call that was made inside a hook and passed through. */
void vmt_guard_count_nested(void);

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
	struct vmt_thread *thread = &vmt_guard_thread;

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
	vmt_guard_thread.depth = 0;
}

/* Private anonymous zeroed memory for the tracer itself (page-rounded, not reserved against
 * overcommit, not locked). NULL on failure. */
void *vmt_own_memory_map(size_t bytes);

/* The same, remembered so that the trace can name it. Set-up only; later:
 * vmt_own_mapping_write. */
void *vmt_own_memory_map_listed(size_t bytes);

/* Remembers a private anonymous mapping that was made elsewhere as the tracer's own. */
void vmt_own_memory_add(uint64_t start, uint64_t bytes);

/* Forgets one, or the end of one, before it is unmapped. */
void vmt_own_memory_drop(uint64_t start, uint64_t bytes);

/* Has the kernel zero such memory in fork children. False where it cannot. */
bool vmt_own_memory_wipe_on_fork(void *memory, size_t bytes);

/* In a fork child, from fork hooks: lets its first block take the long way, where its trace is
 * opened (a distance drawn anew is as good as the parent's: the sampler has no memory), and does by
 * hand what the wiped owner page does by itself where the kernel cannot wipe. */
void vmt_guard_forked(void);

/* Makes the owner page. False: no memory. Constructor only. */
bool vmt_guard_set_up(void);

/* Says that recording begins (constructor, fork child). Orders all of process before it. */
void vmt_guard_begin_recording(void);

/* Turns recording off for good, in this process and its future fork children: an impossible state
 * was met, or a step failed. With VMTRACE_VERBOSE says why (NULL = nothing) in a line on stderr. */
void vmt_guard_go_inert(const char *why);

#endif
