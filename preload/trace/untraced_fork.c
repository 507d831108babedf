#include "preload/trace/untraced_fork.h"

#include "base/atomic.h"
#include "base/procfs.h"
#include "base/session.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/core/recording.h"

#include <errno.h>
#include <sched.h>

/* Of the process that the owner page says (seen_pid). A fork child's page is empty: so who was made
 * by a call that no hook saw is not taken for its parent. */
static uint64_t known_namespace;

void
vmt_untraced_fork_set_up(void)
{
	const struct vmt_session *session = vmt_recording.session;

	if (!session || session->pid_namespace == 0)
		return;
	known_namespace = session->pid_namespace;
	vmt_guard_owner->seen_pid = vmt_recording.head->pid;
}

bool
vmt_untraced_fork_prepare(void)
{
	uint32_t seen = vmt_guard_owner->seen_pid;

	return seen != 0 && vmt_guard_syscalls_allowed() && vmt_sys_call0(SYS_getpid) == (long)seen;
}

/* Whoever takes over the child of a parent that has ended is of that one's namespace, or of one
 * further out: so a child in another namespace than its parent never sees a parent. */
void
vmt_untraced_fork_begin(bool prepared)
{
	if (prepared && vmt_guard_syscalls_allowed() && vmt_sys_call0(SYS_getppid) != 0)
		vmt_guard_owner->seen_pid = (uint32_t)vmt_sys_call0(SYS_getpid);
}

VMT_FORK_CODE static uint64_t
own_namespace(void)
{
	uint32_t pid = (uint32_t)vmt_sys_call0(SYS_getpid);

	if (vmt_guard_owner->seen_pid != pid) {
		known_namespace = vmt_procfs_pid_namespace();
		vmt_guard_owner->seen_pid = pid;
	}
	return known_namespace;
}

/* Whether the process whose trace is mapped here may run the program that it was recorded in. */
VMT_FORK_CODE static bool
may_be_there(const struct vmt_head *head)
{
	return vmt_atomic_load_relaxed(&head->end) == VMT_END_RUNNING &&
	       vmt_sys_call2(SYS_kill, head->pid, 0) != -ESRCH;
}

/* The collector says that it asks no more about children of that process before it looks for the
 * last time what was told of them: what it has not taken by then is taken back. */
VMT_FORK_CODE static bool
tell(pid_t child)
{
	const struct vmt_head *head = vmt_recording.head;
	struct vmt_session *session = vmt_recording.session;
	uint64_t *entry;

	if (!head || !session || vmt_atomic_load_relaxed(&session->over) ||
	    head->collector_pid_namespace != own_namespace() || !may_be_there(head))
		return false;
	entry = vmt_session_tell_fork(session, head->pid, (uint32_t)child);
	if (!entry)
		return false;
	vmt_atomic_fence();
	return (vmt_atomic_load_relaxed(&head->forks_over) == 0 &&
		vmt_atomic_load_relaxed(&head->end) == VMT_END_RUNNING) ||
	       !vmt_session_take_fork(entry, (uint64_t)head->pid << 32 | (uint32_t)child);
}

bool
vmt_untraced_fork_tell(pid_t child, int flags)
{
	uint32_t outer;
	bool told;

	if ((flags & CLONE_VM) || !vmt_guard_hold_unopened(&outer))
		return false;
	told = tell(child);
	vmt_guard_let_go(outer);
	return told;
}
