#include "capture/entry/filter.h"

#include "base/sys.h"
#include "capture/core/clock.h"
#include "capture/core/guard.h"
#include "capture/record/samples.h"
#include "capture/trace/open.h"

#include <sys/prctl.h>

/* A vfork child runs on its parent's memory, thread state included. Where a thread's state lasts
 * for one call only, the child's filter is taken for one of the whole process. */
static bool
is_vfork_child(void)
{
#if defined(VMT_THREAD_ON_STACK)
	return false;
#else
	return vmt_thread_mine()->no_syscalls != 0 ||
	       (vmt_guard_syscalls_allowed() &&
		vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
		vmt_guard_owner->pid != (uint32_t)vmt_sys_call0(SYS_getpid));
#endif
}

static void
forbid_asking(void)
{
#if defined(VMT_THREAD_ON_STACK)
	if (vmt_thread_base == VMT_THREAD_BASE_ASKED)
		vmt_thread_base = VMT_THREAD_BASE_UNKNOWN;
#endif
}

void
vmt_filter_begin(struct vmt_filter *filter)
{
	struct vmt_recording *process = &vmt_recording;

	filter->in_vfork_child = !filter->strict && is_vfork_child();
	if (filter->in_vfork_child) {
		filter->no_syscalls = vmt_thread_mine()->no_syscalls;
		vmt_clock_stop();
		vmt_thread_mine()->no_syscalls = true;
		return;
	}
	filter->no_syscalls = vmt_atomic_load_relaxed(&vmt_guard.no_syscalls);
	filter->malloc_mode = vmt_atomic_load_relaxed(&process->malloc_mode);
	if (vmt_guard_enter()) {
		vmt_samples_provide();
		vmt_open_provide_stacks();
		vmt_guard_leave();
	}
	if (filter->strict)
		vmt_atomic_store_relaxed(&process->malloc_mode, VMT_MALLOC_OFF);
	vmt_clock_stop();
	forbid_asking();
	vmt_atomic_store_release(&vmt_guard.no_syscalls, true);
}

void
vmt_filter_end(const struct vmt_filter *filter, long result)
{
	struct vmt_recording *process = &vmt_recording;

	if (filter->in_vfork_child) {
		if (result < 0)
			vmt_thread_mine()->no_syscalls = filter->no_syscalls;
		return;
	}
	if (result < 0) {
		vmt_atomic_store_relaxed(&vmt_guard.no_syscalls, filter->no_syscalls);
		if (filter->strict)
			vmt_atomic_store_relaxed(&process->malloc_mode, filter->malloc_mode);
		return;
	}
	vmt_guard_add_note(VMT_NOTE_SECCOMP);
	if (filter->strict)
		vmt_guard_go_inert(NULL);
}

void
vmt_filter_clock(unsigned long access)
{
	if (access == PR_TSC_SIGSEGV && vmt_clock_is_tsc)
		vmt_guard_go_inert("the program turns off the time stamp counter");
}
