#include "capture/core/guard.h"

#include "base/assert.h"
#include "base/sys.h"
#include "capture/core/config.h"
#include "capture/core/message.h"
#include "capture/core/threads_inside.h"

#include <signal.h>
#include <string.h>

/* No stack is larger: what lies further apart is not on one. */
#define STACK_SPAN_BYTES (UINT64_C(64) << 20)

/* Before set-up, and for ever where nothing is recorded. */
static struct vmt_owner nobody;

static bool (*child_opener)(void);

struct vmt_owner *vmt_guard_owner = &nobody;
struct vmt_guard vmt_guard;

/* Events written while the trace is being opened need a generation already. */
static void
begin_generation(struct vmt_owner *owner)
{
	vmt_assert(owner->state == VMT_OWNER_OPENING);
	owner->generation = ++vmt_guard.generation;
	vmt_assert(owner->generation != 0);
}

bool
vmt_guard_set_up(void)
{
	struct vmt_owner *owner = vmt_own_memory_map_listed(sizeof(*owner));

	if (!owner)
		return false;
	vmt_guard.owner_wiped = vmt_own_memory_wipe_on_fork(owner, sizeof(*owner));
	owner->state = VMT_OWNER_OPENING;
	begin_generation(owner);
	vmt_atomic_store_release(&vmt_guard_owner, owner);
	return true;
}

void
vmt_guard_begin_recording(void)
{
	struct vmt_owner *owner = vmt_guard_owner;

	vmt_assert(owner != &nobody && owner->state == VMT_OWNER_OPENING);
	vmt_assert(vmt_recording.head != NULL && owner->generation != 0);
	owner->pid = vmt_recording.head->pid;
	vmt_recording.random_id = vmt_recording.head->random_id;
	/* Orders all of process and owner before the state that lets hooks read them. */
	vmt_atomic_store_release(&owner->state, VMT_OWNER_RECORDING);
}

/* On a stack of ours the kernel does not see that the handler is on the alternate one. */
static bool
is_on(const stack_t *alternate, const void *frame)
{
	return (alternate->ss_flags & SS_ONSTACK) ||
	       (uintptr_t)frame - (uintptr_t)alternate->ss_sp < alternate->ss_size;
}

bool
vmt_guard_hook_abandoned(uint64_t entered_frame, const void *frame)
{
	uint64_t distance = (uint64_t)(uintptr_t)frame - entered_frame;
	stack_t alternate = {.ss_flags = 0};
	uint32_t outer;

	if (distance >= STACK_SPAN_BYTES)
		return false;
	if (vmt_guard_syscalls_allowed() &&
	    (vmt_sys_call2(SYS_sigaltstack, NULL, &alternate) < 0 || is_on(&alternate, frame)))
		return false;
	if (vmt_guard_hold(&outer)) {
		vmt_atomic_add_relaxed(&vmt_recording.head->hooks_left, 1);
		vmt_guard_let_go(outer);
	}
	/* Should that be wrong, depth says nothing of who is inside. */
	vmt_threads_inside_distrust();
	return true;
}

/* What tells a thread from others. */
static uint64_t
identity_of(const struct vmt_thread *thread)
{
#if defined(VMT_THREAD_ON_STACK)
	uint64_t area = vmt_thread_pointer();

	return area ? area : (uintptr_t)thread;
#else
	return (uintptr_t)thread;
#endif
}

/* Ids are made up where none can be asked. A vfork child, which uses the thread state of a thread
 * of its parent, has another id than that: it can't be told when that thread is inside. */
void __attribute__((noinline)) vmt_guard_introduce_slow(struct vmt_thread *thread)
{
	const struct vmt_owner *owner = vmt_guard_owner;

	if (!vmt_guard_syscalls_allowed()) {
		thread->thread_id = (uint32_t)(identity_of(thread) >> 6) | 1;
		vmt_threads_inside_distrust();
	} else {
		thread->thread_id = (uint32_t)vmt_sys_call0(SYS_gettid);
		if (owner->pid == 0 || owner->pid == (uint32_t)vmt_sys_call0(SYS_getpid))
			vmt_threads_inside_add(thread->thread_id, owner->generation,
					       &thread->depth);
		else
			vmt_threads_inside_distrust();
	}
	vmt_assert(thread->thread_id != 0);
	thread->generation = owner->generation;
}

bool
vmt_guard_hold(uint32_t *outer)
{
	struct vmt_thread *thread = vmt_thread_mine();

	*outer = thread->depth;
	thread->depth = *outer + 1;
	__asm__ volatile("" ::: "memory");
	if (vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
	    thread->generation != vmt_guard_owner->generation)
		vmt_guard_introduce_slow(thread);
	vmt_assert(thread->thread_id != 0 || !vmt_guard_is_at_work(thread));
	if (vmt_guard_is_at_work(thread))
		return true;
	vmt_guard_let_go(*outer);
	return false;
}

bool
vmt_guard_hold_unopened(uint32_t *outer)
{
	struct vmt_thread *thread = vmt_thread_mine();

	*outer = thread->depth;
	if (*outer == 0)
		thread->entered_frame = (uint64_t)__builtin_frame_address(0);
	thread->depth = *outer + 1;
	__asm__ volatile("" ::: "memory");
	if (vmt_guard_owner != &nobody && vmt_guard_is_unopened() && !vmt_guard.inert &&
	    vmt_guard_syscalls_allowed() && vmt_config.follow_fork)
		return true;
	vmt_guard_let_go(*outer);
	return false;
}

void
vmt_guard_let_go(uint32_t outer)
{
	__asm__ volatile("" ::: "memory");
	vmt_assert(vmt_thread_mine()->depth == outer + 1 || vmt_threads_inside_is_distrusted());
	vmt_thread_mine()->depth = outer;
}

bool
vmt_guard_visit(void)
{
	vmt_thread_mine()->visits++;
	vmt_atomic_add_relaxed(&vmt_guard_owner->visitors, 1);
	vmt_atomic_fence();
	if (vmt_atomic_load_acquire(&vmt_guard.closed) == 0)
		return true;
	vmt_guard_end_visit();
	return false;
}

/* A fork that no hook saw, in a handler meanwhile: then nobody is counted here. */
void
vmt_guard_end_visit(void)
{
	struct vmt_thread *thread = vmt_thread_mine();
	uint32_t visitors = vmt_atomic_load_relaxed(&vmt_guard_owner->visitors);

	vmt_assert(thread->visits != 0);
	thread->visits--;
	vmt_atomic_fence();
	while (visitors != 0 &&
	       !vmt_atomic_cas(&vmt_guard_owner->visitors, &visitors, visitors - 1))
		;
}

void
vmt_guard_close(void)
{
	vmt_atomic_store_relaxed(&vmt_guard.closed, 1);
	vmt_atomic_fence();
}

bool
vmt_guard_is_interrupted(void)
{
	const struct vmt_thread *own = vmt_thread_find();

	return own && own != vmt_thread_mine() && own->depth != 0;
}

void __attribute__((noinline)) vmt_guard_count_nested(void)
{
	uint32_t outer;

	if (!vmt_guard_hold(&outer))
		return;
	vmt_atomic_add_relaxed(&vmt_recording.head->nested_calls, 1);
	vmt_guard_let_go(outer);
}

void
vmt_guard_add_note(uint32_t note)
{
	uint32_t outer;

	if (!vmt_guard_hold(&outer))
		return;
	vmt_atomic_or_relaxed(&vmt_recording.head->notes, note);
	vmt_guard_let_go(outer);
}

void
vmt_guard_set_child_opener(bool (*open)(void))
{
	child_opener = open;
}

/*
 * A wiped owner means a fork child. It has one thread at first, but may have more by its first
 * event: the swap picks one of them to open the trace, the others pass through meanwhile.
 */
static bool
open_in_child(void)
{
	uint32_t expected = VMT_OWNER_NONE;

	if (!vmt_atomic_cas(&vmt_guard_owner->state, &expected, VMT_OWNER_OPENING))
		return false;
	if (vmt_guard.inert || !vmt_guard_syscalls_allowed() || !vmt_config.follow_fork) {
		vmt_guard_go_inert(NULL);
		return false;
	}
	begin_generation(vmt_guard_owner);
	return child_opener && child_opener();
}

static bool
is_let_in(struct vmt_thread *thread)
{
	uint32_t state = vmt_atomic_load_acquire(&vmt_guard_owner->state);

	if (vmt_guard_owner == &nobody)
		return false;
	if (state != VMT_OWNER_RECORDING && (state != VMT_OWNER_NONE || !open_in_child()))
		return false;
	vmt_assert(thread->depth != 0);
	if (thread->generation != vmt_guard_owner->generation)
		vmt_guard_introduce_slow(thread);
	return vmt_guard_is_at_work(thread);
}

bool
vmt_guard_enter_slow(struct vmt_thread *thread)
{
	if (is_let_in(thread))
		return true;
	vmt_guard_leave();
	return false;
}

void
vmt_guard_forked(void)
{
	struct vmt_thread *thread = vmt_thread_mine();

	/* What is 0 is not written: a write copies the page. */
	if (thread->sampler_ready != 0)
		thread->sampler_ready = 0;
	if (thread->sample_left != 0)
		thread->sample_left = 0;
	if (vmt_guard_owner == &nobody)
		return;
	if (!vmt_guard.owner_wiped)
		memset(vmt_guard_owner, 0, sizeof(*vmt_guard_owner));
	/* The fork was made by a handler that came during a visit: it goes on here as well. */
	if (thread->visits != 0)
		vmt_guard_owner->visitors = thread->visits;
}

void
vmt_guard_go_inert(const char *why)
{
	vmt_guard.inert = true;
	vmt_atomic_store_relaxed(&vmt_recording.malloc_mode, VMT_MALLOC_OFF);
	vmt_atomic_store_release(&vmt_guard_owner->state, VMT_OWNER_INERT);
	if (why && vmt_config.verbose && vmt_guard_syscalls_allowed())
		vmt_message_say("not recording", why);
}
