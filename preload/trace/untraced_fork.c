#include "preload/trace/untraced_fork.h"

#include "base/atomic.h"
#include "base/procfs.h"
#include "base/session.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/core/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

/* The pid namespace of the process with that pid; 0 = of none. */
static uint32_t known_pid;
static uint64_t known_namespace;

void
vmt_untraced_fork_set_up(void)
{
	const struct vmt_session *session = vmt_recording.session;

	if (!session)
		return;
	known_namespace = session->pid_namespace;
	known_pid = vmt_recording.head->pid;
}

/* A child in another namespace than its parent sees none, and one that was left by it another. */
void
vmt_untraced_fork_begin(void)
{
	bool seen = known_pid != 0 && vmt_guard_syscalls_allowed() &&
		    vmt_sys_call0(SYS_getppid) == (long)known_pid;

	known_pid = seen ? (uint32_t)vmt_sys_call0(SYS_getpid) : 0;
}

static uint64_t
own_namespace(void)
{
	uint32_t pid = (uint32_t)vmt_sys_call0(SYS_getpid);

	if (known_pid != pid || vmt_sys_call0(SYS_getppid) == 0) {
		known_namespace = vmt_procfs_pid_namespace();
		known_pid = pid;
	}
	return known_namespace;
}

/* Whether a process with the number of the recorded one is there, at less cost than is_there. */
static bool
may_be_there(const struct vmt_head *head)
{
	return vmt_atomic_load_relaxed(&head->end) == VMT_END_RUNNING &&
	       vmt_sys_call2(SYS_kill, head->pid, 0) != -ESRCH;
}

/* Whether the process whose trace is mapped here runs the program that it was recorded in. */
static bool
is_there(const struct vmt_head *head)
{
	struct vmt_procfs_stat stat;
	int fd;
	bool found;

	if (vmt_atomic_load_relaxed(&head->end) != VMT_END_RUNNING)
		return false;
	fd = vmt_procfs_open(head->pid, "stat");
	if (fd < 0)
		return false;
	found = vmt_procfs_read_stat(fd, &stat);
	vmt_sys_close(fd);
	return found && stat.start_ticks == head->start_ticks && stat.state != 'Z' &&
	       stat.state != 'X';
}

/* The collector forgets who has ended, some time after the end: what it has not taken by then is
 * taken back. */
static bool
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
	return is_there(head) ||
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
