#include "preload/spawn.h"

#include "collect/aside.h"
#include "collect/collector.h"
#include "collect/sys.h"
#include "collect/text.h"
#include "preload/config.h"
#include "preload/state.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define RESTORE_ATTEMPTS 1000

/* As the kernel's linux_dirent64. */
struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* Kernels before 5.9: what /proc/self/fd lists. Closing while listing may skip entries, so again
 * until a pass closes nothing. */
static void
close_listed(void)
{
	_Alignas(8) char buffer[2048];
	bool closed = true;

	while (closed) {
		int directory = vmt_sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
		long bytes;

		closed = false;
		while (directory >= 0 && (bytes = vmt_sys_call3(SYS_getdents64, directory, buffer,
								sizeof(buffer))) > 0) {
			for (long at = 0; at < bytes;) {
				const struct directory_entry *entry = (void *)(buffer + at);
				struct vmt_text name =
				    vmt_text_of(entry->name, strlen(entry->name));
				uint64_t fd;

				if (vmt_text_take_decimal(&name, &fd) && (int)fd != directory) {
					vmt_sys_close((int)fd);
					closed = true;
				}
				at += entry->bytes;
			}
		}
		if (directory >= 0)
			vmt_sys_close(directory);
	}
}

/* Descriptors 0 to 2 lead to /dev/null: whatever the collector opens gets a higher number. */
static void
leave_descriptors(void)
{
	if (vmt_sys_call3(SYS_close_range, 0, ~0u, 0) < 0)
		close_listed();
	for (int i = 0; i < 3; i++)
		vmt_sys_call4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
}

static _Noreturn void
run_child(struct vmt_session *session, uint32_t parent, const char *path)
{
	struct vmt_collector_host host = {
	    .interval_ns = vmt_config.interval_ns,
	    .residency_source = vmt_config.residency_source,
	    .first_pid = parent,
	    .session_path = path,
	};

	vmt_state_go_inert(NULL);
	vmt_sys_call0(SYS_setsid);
	leave_descriptors();
	vmt_sys_call1(SYS_chdir, "/");
	vmt_sys_call2(SYS_prctl, PR_SET_NAME, "vmtrace");
	(void)vmt_collector_run(session, &host);
	for (;;)
		vmt_sys_call1(SYS_exit_group, 0);
}

static bool
make_path(char *path, size_t room)
{
	const struct vmt_process *process = &vmt_state_process;
	struct vmt_text_out out = vmt_text_out_begin(path, room);
	const char *slash = strrchr(process->trace_path, '/');

	vmt_text_put_bytes(&out, process->trace_path, (size_t)(slash + 1 - process->trace_path));
	vmt_text_put(&out, ".vmtrace.");
	vmt_text_put_decimal(&out, process->head->pid);
	vmt_text_put(&out, ".");
	vmt_text_put_decimal(&out, process->head->random_id);
	vmt_text_put(&out, ".session");
	return !out.overflow;
}

static long
clone_silently(void)
{
	return vmt_sys_call6(SYS_clone, 0, 0, 0, 0, 0, 0);
}

/* Where orphans come back to the program itself, they do so with a SIGCHLD at their end. */
static bool
reaps_orphans(long pid)
{
	int reaper = 0;

	vmt_sys_call2(SYS_prctl, PR_GET_CHILD_SUBREAPER, &reaper);
	return pid == 1 || reaper != 0;
}

/* What the process between program and collector says. One that is not to be heard of counts as
 * having made the collector: the session tells. */
static bool
reap(long between)
{
	long result = -EINTR;
	int status = 0;

	for (int i = 0; i < RESTORE_ATTEMPTS && result == -EINTR; i++)
		result = vmt_sys_call4(SYS_wait4, between, &status, __WALL, NULL);
	return result != between || status == 0;
}

/* The process between: the collector is its orphan at once. */
static _Noreturn void
run_between(struct vmt_session *session, uint32_t parent, const char *path)
{
	long child = clone_silently();

	if (child == 0)
		run_child(session, parent, path);
	for (;;)
		vmt_sys_call1(SYS_exit_group, child > 0 ? 0 : 1);
}

/* Signals stay blocked from before the clone: a handler of the program must not run in the child.
 * The parent gets its mask back: without a call that can be relied on, nothing is spawned. */
static bool
clone_collector(struct vmt_session *session, const char *path)
{
	uint64_t all = ~UINT64_C(0);
	uint64_t before;
	long parent = vmt_sys_call0(SYS_getpid);
	bool keeps = reaps_orphans(parent);
	long child;

	if (parent <= 0 ||
	    vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all)) < 0)
		return false;
	child = clone_silently();
	if (child == 0 && keeps)
		run_child(session, (uint32_t)parent, path);
	if (child == 0)
		run_between(session, (uint32_t)parent, path);
	if (child > 0 && !keeps && !reap(child))
		child = -EAGAIN;
	for (int i = 0; i < RESTORE_ATTEMPTS; i++)
		if (vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before)) ==
		    0)
			break;
	return child > 0;
}

/* Beside the trace, or else where files can be mapped. */
static int
create_session(char *path, size_t room, struct vmt_session **session)
{
	const struct vmt_head *head = vmt_state_process.head;
	int result = make_path(path, room) ? vmt_session_create(path, session) : -ENAMETOOLONG;

	if (!vmt_aside_is_wanted(result))
		return result;
	return vmt_session_create_aside(path, room, head->pid, head->random_id, session);
}

bool
vmt_spawn_collector(const char **path)
{
	static char session_path[VMT_STATE_PATH_BYTES];
	struct vmt_session *session;

	if (create_session(session_path, sizeof(session_path), &session) < 0)
		return false;
	if (!clone_collector(session, session_path)) {
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, session_path, 0);
		vmt_sys_munmap(session, sizeof(*session));
		return false;
	}
	vmt_state_process.session = session;
	*path = session_path;
	return true;
}
