#include "capture/stacks/alternate_stacks.h"

#if defined(VMT_THREAD_ON_STACK)
#include "base/atomic.h"
#include "base/sys.h"
#include "capture/core/call_stacks.h"
#include "capture/core/guard.h"
#include "capture/stacks/stack_bounds.h"

#include <signal.h>
#include <sys/uio.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static uint32_t are_seen;
static uint32_t is_one_near;   /* among the caller's frames; for ever */
static uint32_t is_one_hidden; /* that, and with SS_AUTODISARM */

void
vmt_alternate_stacks_set_up(bool seen)
{
	vmt_atomic_store_relaxed(&are_seen, seen);
}

/* False: it is out of the way. */
static bool
note(const stack_t *stack)
{
	uint32_t flags = (uint32_t)stack->ss_flags;

	if ((flags & ~SS_AUTODISARM) == SS_DISABLE ||
	    !vmt_stack_bounds_may_be_roomy((uint64_t)stack->ss_sp, stack->ss_size))
		return false;
	vmt_atomic_store_relaxed(&is_one_near, 1);
	if (flags & SS_AUTODISARM)
		vmt_atomic_store_relaxed(&is_one_hidden, 1);
	return true;
}

/* What can't be read here may be read by the kernel afterwards. */
void
vmt_alternate_stacks_note(uint64_t wanted)
{
	stack_t stack;
	struct iovec from = {(void *)wanted, sizeof(stack)}; /* NOLINT(performance-no-int-to-ptr) */
	struct iovec to = {&stack, sizeof(stack)};

	if (wanted == 0)
		return;
	if (vmt_sys_call6(SYS_process_vm_readv, vmt_sys_call0(SYS_getpid), (long)&to, 1,
			  (long)&from, 1, 0) == (long)sizeof(stack))
		(void)note(&stack);
	else
		vmt_atomic_store_relaxed(&is_one_near, 1);
}

static bool
ask(struct vmt_thread *thread)
{
	stack_t stack;

	if (vmt_sys_call2(SYS_sigaltstack, NULL, &stack) < 0)
		return true;
	if (!note(&stack))
		thread->alternate_asked = thread->generation;
	return (stack.ss_flags & SS_ONSTACK) || vmt_atomic_load_relaxed(&is_one_hidden) != 0;
}

bool
vmt_alternate_stacks_may_be_used(struct vmt_thread *thread)
{
	if (!vmt_guard_syscalls_allowed())
		return true;
	if (vmt_atomic_load_relaxed(&are_seen) != 0 && vmt_atomic_load_relaxed(&is_one_near) == 0 &&
	    vmt_atomic_load_relaxed(&vmt_call_stacks.missed) == 0 &&
	    thread->alternate_asked == thread->generation)
		return false;
	return ask(thread);
}
#else
typedef int vmt_alternate_stacks_are_for_code_on_foreign_stacks;
#endif
