#include "preload/trace/spawn.h"

#include "base/procfs.h"
#include "base/roomy.h"
#include "base/shm_fallback.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "collect/collector.h"
#include "preload/libc/elf_lookup.h"
#include "preload/trace/close_descriptors.h"
#include "preload/trace/exec_server.h"
#include "preload/trace/own_file.h"
#include "preload/trace/standalone.h"
#include "preload/trace/unmap_files.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SESSION_FD 0 /* of a nameless session, in the collector */
#define HOLDER_PAUSE_NS 2000000
#define HOLDER_PAUSES 10u
#define RESTORE_ATTEMPTS 1000

/* What the processes on the way to the collector need. Between vfork and exec they run on the
 * memory of the program, whose thread waits meanwhile. */
struct spawn {
	struct vmt_session *session;
	struct vmt_standalone_orders orders;
	struct vmt_standalone_line line;
	char library[VMT_SESSION_PATH_BYTES]; /* absolute; empty: not known */
	bool as_copy;			      /* the collector stays a copy of the program */
	volatile bool failed;		      /* it could not be another program */
};

/* In the collector-to-be: holds a nameless session by the first number, and leaves the rest. */
static void
leave_all_but_session(const struct spawn *spawn)
{
	int fd = spawn->orders.session_fd;

	if (fd > 0)
		vmt_sys_call3(SYS_dup3, fd, SESSION_FD, 0);
	else if (fd == SESSION_FD)
		vmt_sys_call3(SYS_fcntl, fd, F_SETFD, 0);
	vmt_close_descriptors_from(fd >= 0 ? SESSION_FD + 1 : 0);
	if (fd < 0)
		return;
	vmt_atomic_store_release(&spawn->session->held_by, vmt_procfs_own_number());
	vmt_sys_call3(SYS_futex, &spawn->session->held_by, FUTEX_WAKE, 1);
}

/* The second choice: a copy of the program that never execs, and drops what it can. */
static _Noreturn void
run_copy(const struct spawn *spawn)
{
	struct vmt_exec_server server = {.library = spawn->library};
	struct vmt_collector_host host = {
	    .serve_execs = vmt_exec_server_attend,
	    .serve_context = &server,
	    .interval_ns = spawn->orders.interval_ns,
	    .residency_source = spawn->orders.residency_source,
	    .touch_period = spawn->orders.touch_period,
	    .min_rss_bytes = spawn->orders.min_rss_bytes,
	    .max_files = spawn->orders.max_files,
	    .max_bytes = spawn->orders.max_bytes,
	    .first_pid = spawn->orders.first_pid,
	    .ends_with_collector = true,
	    .session_path = spawn->orders.session_path,
	};

	vmt_guard_go_inert(NULL);
	vmt_sys_call0(SYS_setsid);
	leave_all_but_session(spawn);
	vmt_sys_call1(SYS_chdir, "/");
	vmt_unmap_files_all(spawn->session, spawn->library);
	vmt_sys_call2(SYS_prctl, PR_SET_NAME, "vmtrace");
	vmt_exec_server_begin(&server, spawn->session, spawn->orders.session_path, SESSION_FD);
	(void)vmt_collector_run(spawn->session, &host);
	vmt_exec_server_end(&server);
	for (;;)
		vmt_sys_call1(SYS_exit_group, 0);
}

static void
keep_over_exec(int fd)
{
	if (fd >= 0)
		vmt_sys_call3(SYS_fcntl, fd, F_SETFD, 0);
}

/* What the collector needs open: later it has the leave of another program to open it. */
static void
open_for_exec(struct vmt_standalone_orders *orders)
{
	struct vmt_procfs_watch *watch = &orders->watch;

	if (orders->session_path) {
		orders->session_fd = vmt_sys_open(orders->session_path, O_RDWR | O_NOFOLLOW, 0);
		keep_over_exec(orders->session_fd);
	}
	vmt_procfs_watch(watch, orders->first_pid);
	keep_over_exec(watch->stat_fd);
	keep_over_exec(watch->pidfd);
	keep_over_exec(watch->maps_fd);
	keep_over_exec(watch->pagemap_fd);
	keep_over_exec(watch->statm_fd);
	keep_over_exec(watch->rollup_fd);
}

/* Becomes the library run as a program. No leave is gained by it, whatever marks the file has.
 * Returns where that can't be: the file is not executable, or was replaced since it was loaded. */
static void
run_library(struct spawn *spawn)
{
	static const char *const no_environment[] = {NULL};
	struct vmt_standalone_orders orders = spawn->orders;

	/* On the program's memory: what the program may need again stays as it is. */
	if (!orders.session_path)
		orders.session_fd = SESSION_FD;
	vmt_sys_call0(SYS_setsid);
	leave_all_but_session(spawn);
	open_for_exec(&orders);
	vmt_sys_call1(SYS_chdir, "/");
	vmt_sys_call6(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	vmt_standalone_write(&spawn->line, &orders);
	if (orders.session_fd >= 0 && vmt_own_file_is(spawn->library))
		vmt_sys_call3(SYS_execve, spawn->library, spawn->line.arguments, no_environment);
}

static _Noreturn void
run_child(struct spawn *spawn)
{
	if (spawn->as_copy)
		run_copy(spawn);
	run_library(spawn);
	spawn->failed = true;
	for (;;)
		vmt_sys_call1(SYS_exit_group, 1);
}

static bool
make_path(char *path, size_t room)
{
	const struct vmt_recording *process = &vmt_recording;
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

/* A child without an exit signal. On the way to an exec it shares the memory, and the parent waits
 * until it is another program or has ended. */
static inline __attribute__((always_inline)) long
clone_silently(const struct spawn *spawn)
{
	unsigned flags = spawn->as_copy ? 0 : CLONE_VM | CLONE_VFORK;

	return vmt_sys_call6(SYS_clone, flags, 0, 0, 0, 0, 0);
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
static _Noreturn __attribute__((noinline)) void
run_between(struct spawn *spawn)
{
	long child = clone_silently(spawn);

	if (child == 0)
		run_child(spawn);
	for (;;)
		vmt_sys_call1(SYS_exit_group, child > 0 && !spawn->failed ? 0 : 1);
}

/* False: there is none. `keeps`: this process gets orphans back, so nobody stands between. */
static bool
clone_collector(struct spawn *spawn, bool keeps)
{
	long child = clone_silently(spawn);

	if (child == 0 && keeps)
		run_child(spawn);
	if (child == 0)
		run_between(spawn);
	if (child < 0)
		return false;
	if (!keeps)
		return reap(child);
	if (spawn->failed)
		(void)reap(child);
	return !spawn->failed;
}

static bool
clone_some_way(struct spawn *spawn)
{
	bool keeps = reaps_orphans(spawn->orders.first_pid);

	/* An exec makes a child one that its parent is told of. Where orphans come back to the
	 * program, a wait of its own would then find the collector, and wait for its end. */
	spawn->as_copy = keeps || spawn->library[0] == '\0';
	if (!spawn->as_copy && clone_collector(spawn, keeps))
		return true;
	spawn->as_copy = true;
	spawn->failed = false;
	vmt_atomic_store_release(&spawn->session->held_by, 0); /* who could not execute is gone */
	return clone_collector(spawn, keeps);
}

/* Signals stay blocked from before the clone: a handler of the program must not run in the child.
 * The parent gets its mask back: without a call that can be relied on, nothing is spawned. */
static bool
make_collector(struct spawn *spawn)
{
	uint64_t all = ~UINT64_C(0);
	uint64_t before;
	bool made;

	if (spawn->orders.first_pid == 0 ||
	    vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all)) < 0)
		return false;
	made = clone_some_way(spawn);
	for (int i = 0; i < RESTORE_ATTEMPTS; i++)
		if (vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before)) ==
		    0)
			break;
	return made;
}

/* The library's file, from the present directory where its name is a relative one. */
static void
find_library(char *path, size_t room)
{
	const char *own = vmt_elf_lookup_own_path();
	struct vmt_text_out out = vmt_text_out_begin(path, room);
	long length = 0;

	if (own && own[0] != '\0' && own[0] != '/') {
		length = vmt_sys_call2(SYS_getcwd, path, room);
		out.at += length > 0 ? length - 1 : 0;
		vmt_text_put(&out, "/");
	}
	vmt_text_put(&out, own ? own : "");
	if (out.overflow || length < 0 || path[0] != '/')
		path[0] = '\0';
}

/* Beside the trace, or else where files can be mapped. */
static int
create_named(char *path, size_t room, struct vmt_session **session)
{
	const struct vmt_head *head = vmt_recording.head;
	int result = make_path(path, room) ? vmt_session_create(path, session) : -ENAMETOOLONG;

	if (!vmt_shm_fallback_is_wanted(result))
		return result;
	return vmt_session_create_aside(path, room, head->pid, head->random_id, session);
}

/* A nameless session is found through /proc, and made by a call that a filter may kill for. */
static bool
may_be_nameless(void)
{
	return vmt_recording.head->start_ticks != 0 && !vmt_recording.is_filtered;
}

/* Fills in the session, and its path or its descriptor. */
static bool
create_session(struct spawn *spawn, char *path, size_t room)
{
	struct vmt_standalone_orders *orders = &spawn->orders;

	orders->session_fd = -1;
	orders->session_path = NULL;
	if (may_be_nameless())
		orders->session_fd = vmt_session_create_nameless(&spawn->session);
	if (orders->session_fd >= 0)
		return true;
	orders->session_path = path;
	return create_named(path, room, &spawn->session) == 0;
}

/* A copy of the program is not waited for like a program that is executed: it may not have said yet
 * which number it has. The path is empty where it does not say so soon. */
static void
name_by_holder(struct vmt_session *session, char *path, size_t room)
{
	const struct timespec pause = {0, HOLDER_PAUSE_NS};
	uint32_t holder = vmt_atomic_load_acquire(&session->held_by);

	for (unsigned i = 0; i < HOLDER_PAUSES && holder == 0; i++) {
		vmt_sys_call4(SYS_futex, &session->held_by, FUTEX_WAIT, 0, &pause);
		holder = vmt_atomic_load_acquire(&session->held_by);
	}
	path[0] = '\0';
	if (holder != 0)
		(void)vmt_session_path_of(path, room, holder, SESSION_FD);
}

static void
remove_session(const struct spawn *spawn)
{
	if (spawn->orders.session_path)
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, spawn->orders.session_path, 0);
	vmt_sys_munmap(spawn->session, sizeof(*spawn->session));
}

static void
set_orders(struct vmt_standalone_orders *orders)
{
	const struct vmt_head *head = vmt_recording.head;

	orders->first_pid = head->pid;
	orders->first_random_id = head->random_id;
	orders->interval_ns = vmt_config.interval_ns;
	orders->residency_source = vmt_config.residency_source;
	orders->touch_period = vmt_config.touch_period;
	orders->min_rss_bytes = vmt_config.min_rss_bytes;
	orders->max_files = vmt_config.max_files;
	orders->max_bytes = vmt_config.max_bytes;
	orders->watch.stack_start = vmt_recording.stack_start;
}

/* Before the collector has begun: who executes something until then waits for it. */
static void
offer_exec_server(const struct spawn *spawn)
{
#if defined(__x86_64__)
	if (spawn->library[0] != '\0')
		vmt_atomic_store_release(&spawn->session->exec_server,
					 VMT_SESSION_SERVER_ON_DEMAND);
#else
	(void)spawn;
#endif
}

bool
vmt_spawn_collector(const char **path)
{
	static struct spawn spawn;
	static char session_path[VMT_SESSION_PATH_BYTES];
	bool made;

	if (!create_session(&spawn, session_path, sizeof(session_path)))
		return false;
	find_library(spawn.library, sizeof(spawn.library));
	offer_exec_server(&spawn);
	set_orders(&spawn.orders);
	made = make_collector(&spawn);
	if (spawn.orders.session_fd >= 0)
		vmt_sys_close(spawn.orders.session_fd);
	if (!made) {
		remove_session(&spawn);
		return false;
	}
	vmt_recording.session = spawn.session;
	if (!spawn.orders.session_path)
		name_by_holder(spawn.session, session_path, sizeof(session_path));
	*path = session_path;
	return true;
}
