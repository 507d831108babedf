/*
 * thread.h: the state of the calling thread, whichever way this code came into the process
 *
 * The library has one thread-local variable, in the static area (initial-exec), zero at birth and
 * without a destructor. Code that is put into a process from outside has none: compiled with
 * VMT_THREAD_ON_STACK it runs on a stack of its own, aligned to its size, that has the state at its
 * upper end, out of the way of what runs over; or on the program's, where vmt_thread_find has found
 * a state before. Hooks read it through vmt_thread_mine alone.
 */
#ifndef VMT_THREAD_H
#define VMT_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#if defined(VMT_THREAD_ON_STACK) && defined(__x86_64__)
#include "base/sys.h"

#include <asm/prctl.h>
#endif

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
	uint32_t visits;      /* begun and not ended: vmt_guard_visit */
	bool refused;	      /* a call after ours had gone: retreat.c */
	uint32_t walks;	      /* walks without a last one to go by, mod 2^32 */
	uint64_t floor;	      /* the stack begins there or above; 0: that is not known */
	uint64_t foreign_low; /* [low, high): lately seen not to be in the thread's own stack */
	uint64_t foreign_high;
	uint64_t entered_frame;		 /* frame of the hook that set depth */
	uint64_t heap_frame;		 /* frame of the hook that set heap_depth */
	struct vmt_last_walk *last_walk; /* this thread's part of the pool, see last_walk.h */
#if defined(VMT_THREAD_ON_STACK)
	uint64_t pointer;     /* of the thread that used this stack last, see call_stacks.c */
	uint64_t id_word;     /* where thread_id stands in the program's memory; 0: not known */
	uint32_t in_raw_call; /* 1: depth was set by a raw call that runs on the program's stack */
	uint32_t id_asked;    /* how often the kernel was asked instead, mod 2^32 */
	uint32_t alternate_asked; /* the generation in which alternate_stacks.h had an answer */
#endif
};

_Static_assert(sizeof(struct vmt_thread) <= 256, "TLS is scarce: it comes out of every thread");

#if defined(VMT_THREAD_ON_STACK)
#define VMT_THREAD_STACK_BYTES (UINT64_C(64) << 10)
#define VMT_THREAD_STATE_BYTES 256u

/* Set-up: [low, low + bytes) are the stacks of our own. Until then all code runs on one. */
struct vmt_thread_stacks {
	uint64_t low;
	uint64_t bytes;
};
extern struct vmt_thread_stacks vmt_thread_stacks;

/* Code that runs on the program's own stack has its state in a table, by its thread pointer.
 * NULL: there is no thread pointer, or no room for one more thread. Whoever inherits the pointer of
 * a thread that has ended inherits its state, thread_id too. */
struct vmt_thread *vmt_thread_find(void);

/* Whether a thread of that table is in a hook, or in what one has called. What a thread left by
 * longjmp, or ended in, counts for ever. Only while no other thread runs does the answer stay true.
 */
bool vmt_thread_is_any_inside(void);

static inline struct vmt_thread *
vmt_thread_mine(void)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	if (__builtin_expect(here - vmt_thread_stacks.low >= vmt_thread_stacks.bytes, 0) &&
	    vmt_thread_stacks.bytes != 0)
		return vmt_thread_find();
	return (struct vmt_thread *)((here | (VMT_THREAD_STACK_BYTES - 1)) + 1 -
				     VMT_THREAD_STATE_BYTES);
}

static inline bool
vmt_thread_has_state(void)
{
	return true;
}

/* Set-up: how the thread pointer is learnt. The instruction is there where the kernel says so
 * (HWCAP2_FSGSBASE); nobody is asked once the program forbids itself system calls. */
enum vmt_thread_base { VMT_THREAD_BASE_UNKNOWN, VMT_THREAD_BASE_READ, VMT_THREAD_BASE_ASKED };
extern enum vmt_thread_base vmt_thread_base;

/* The thread pointer; 0: there is none yet, or it is not known. The word that it points to may be
 * anything. */
static inline uint64_t
vmt_thread_pointer(void)
{
	uint64_t base = 0;

#if defined(__x86_64__)
	if (vmt_thread_base == VMT_THREAD_BASE_READ)
		__asm__ volatile("rdfsbase %0" : "=r"(base));
	else if (vmt_thread_base == VMT_THREAD_BASE_ASKED)
		(void)vmt_sys_call2(SYS_arch_prctl, ARCH_GET_FS, &base);
#else
	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(base));
#endif
	return base;
}
#else
extern __thread struct vmt_thread vmt_thread_state __attribute__((tls_model("initial-exec")));

static inline struct vmt_thread *
vmt_thread_mine(void)
{
	return &vmt_thread_state;
}

/* The same, for code that is compiled both ways: never NULL here. */
static inline struct vmt_thread *
vmt_thread_find(void)
{
	return &vmt_thread_state;
}

/* Whether there is a thread state to be touched, errno included. A child of clone with CLONE_VM and
 * a thread area of zeros (Chromium's sandbox has one call chroot and _exit) runs on our memory
 * without: what lies where its thread state would be is the stack of another. */
static inline bool
vmt_thread_has_state(void)
{
#if defined(__x86_64__)
	uint64_t first_word; /* by the ABI, the thread area's own address */

	__asm__("movq %%fs:0, %0" : "=r"(first_word));
	return first_word != 0;
#else
	return true;
#endif
}

/* The thread pointer: by the ABI, the thread area's first word is its own address. */
static inline uint64_t
vmt_thread_pointer(void)
{
	uint64_t address;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(address));
#else
	__asm__("mrs %0, tpidr_el0" : "=r"(address));
#endif
	return address;
}
#endif

#endif
