#include "tools/cmd/launch.h"

#include "base/procfs.h"
#include "base/ticks.h"
#include "tools/read/elf/preloadable.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* SIGXFSZ: a trace that may not grow any further costs chunks, not the recording. */
static const int ignored[] = {SIGINT, SIGQUIT, SIGPIPE, SIGXFSZ};
static const int forwarded[] = {SIGTERM, SIGHUP};

#define IGNORED (sizeof(ignored) / sizeof(*ignored))
#define FORWARDED (sizeof(forwarded) / sizeof(*forwarded))
#define KEPT_NS UINT64_C(1000000000)
#define STOP_NAP_NS 1000000

/* What vmtrace itself was started with, for the child. */
struct dispositions {
	struct sigaction ignored[IGNORED];
	struct sigaction forwarded[FORWARDED];
	sigset_t mask;
};

static volatile sig_atomic_t forward_to;

static void
forward(int number)
{
	int saved = errno;

	if (forward_to > 0)
		kill((pid_t)forward_to, number);
	errno = saved;
}

/* Every signal of ours stays blocked until forward_to is known. */
static void
take_signals(struct dispositions *saved)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction pass_on = {.sa_handler = forward, .sa_flags = SA_RESTART};
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < FORWARDED; i++)
		sigaddset(&block, forwarded[i]);
	sigprocmask(SIG_BLOCK, &block, &saved->mask);
	for (size_t i = 0; i < IGNORED; i++)
		sigaction(ignored[i], &ignore, &saved->ignored[i]);
	for (size_t i = 0; i < FORWARDED; i++) {
		sigaction(forwarded[i], NULL, &saved->forwarded[i]);
		if (saved->forwarded[i].sa_handler != SIG_IGN)
			sigaction(forwarded[i], &pass_on, NULL);
	}
}

static void
give_signals_back(const struct dispositions *saved)
{
	for (size_t i = 0; i < IGNORED; i++)
		sigaction(ignored[i], &saved->ignored[i], NULL);
	for (size_t i = 0; i < FORWARDED; i++)
		sigaction(forwarded[i], &saved->forwarded[i], NULL);
	sigprocmask(SIG_SETMASK, &saved->mask, NULL);
}

/* The errno of it, should it return. What the kernel can't run execvp takes for a shell script:
 * not so machine code that is another machine's. */
static int
execute(char **argv)
{
	char path[PATH_MAX];

	if (vmt_preloadable_find_elf(argv[0], path)) {
		execv(path, argv);
		if (errno == ENOEXEC)
			return errno;
	}
	execvp(argv[0], argv);
	return errno;
}

/* What the child says through a pipe that closes itself at a successful exec. */
struct child_report {
	int traced;    /* 0, or the errno of why not */
	int exec_code; /* the errno of an exec that failed */
};

static void
tell(int report_fd, int code)
{
	while (write(report_fd, &code, sizeof(code)) < 0 && errno == EINTR)
		continue;
}

__attribute__((noreturn)) static void
run_child(char **argv, int report_fd, bool stopped, const struct dispositions *saved)
{
	give_signals_back(saved);
	if (stopped)
		tell(report_fd, ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0);
	tell(report_fd, execute(argv));
	_exit(VMT_LAUNCH_NOT_FOUND);
}

/* False: the child has said nothing more. */
static bool
hear(int fd, int *code)
{
	ssize_t got;

	do
		got = read(fd, code, sizeof(*code));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(*code);
}

static int
start_child(struct vmt_launch *launch, char **argv, bool stopped, struct child_report *said,
	    struct vmt_err *err)
{
	struct dispositions saved;
	int report[2];
	int code;

	*launch = (struct vmt_launch){.start_ns = vmt_ticks_monotonic_ns()};
	*said = (struct child_report){0, 0};
	if (pipe2(report, O_CLOEXEC) < 0)
		return vmt_err_set(err, errno, "pipe: %s", strerror(errno));
	take_signals(&saved);
	launch->pid = fork();
	if (launch->pid == 0)
		run_child(argv, report[1], stopped, &saved);
	code = errno;
	forward_to = launch->pid;
	sigprocmask(SIG_SETMASK, &saved.mask, NULL);
	close(report[1]);
	if (launch->pid < 0) {
		close(report[0]);
		return vmt_err_set(err, code, "fork: %s", strerror(code));
	}
	if (stopped)
		hear(report[0], &said->traced);
	hear(report[0], &said->exec_code);
	close(report[0]);
	return 0;
}

static void
report_failed_exec(struct vmt_launch *launch, const char *command, int code, int *status,
		   struct vmt_err *err)
{
	vmt_launch_reap(launch, true);
	*status = code == ENOENT || code == ENOTDIR ? VMT_LAUNCH_NOT_FOUND : VMT_LAUNCH_CANNOT_RUN;
	vmt_err_set(err, code, "%s: %s", command, strerror(code));
}

int
vmt_launch_start(struct vmt_launch *launch, char **argv, int *status, struct vmt_err *err)
{
	struct child_report said;
	int result = start_child(launch, argv, false, &said, err);

	if (result == 0 && said.exec_code != 0)
		report_failed_exec(launch, argv[0], said.exec_code, status, err);
	return result;
}

/* Signals that came before the exec's own stop are given to it on the way. */
static bool
wait_for_exec(struct vmt_launch *launch)
{
	int wait_status;

	for (;;) {
		pid_t got = waitpid(launch->pid, &wait_status, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (!WIFSTOPPED(wait_status)) {
			launch->wait_status = wait_status;
			launch->ended = true;
			launch->end_ns = vmt_ticks_monotonic_ns();
			forward_to = 0;
			return false;
		}
		if (WSTOPSIG(wait_status) == SIGTRAP)
			return true;
		ptrace(PTRACE_CONT, launch->pid, NULL, (long)WSTOPSIG(wait_status));
	}
}

int
vmt_launch_start_stopped(struct vmt_launch *launch, char **argv, vmt_launch_at_exec *at_exec,
			 void *context, int *untraced, int *status, struct vmt_err *err)
{
	struct child_report said;
	int result = start_child(launch, argv, true, &said, err);

	*untraced = said.traced;
	if (result < 0)
		return result;
	if (said.exec_code != 0) {
		report_failed_exec(launch, argv[0], said.exec_code, status, err);
		return 0;
	}
	if (said.traced == 0 && wait_for_exec(launch)) {
		long signal = at_exec(context, launch->pid);

		ptrace(PTRACE_DETACH, launch->pid, NULL, signal);
	}
	if (launch->ended)
		*status = vmt_launch_status(launch);
	return 0;
}

/* It is reaped only later. A stop is told of as well while another thread of ours traces it. */
static bool
is_over(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	int result;

	do
		result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	while (result < 0 && errno == EINTR);
	return result < 0 ||
	       (info.si_pid != 0 && (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
				     info.si_code == CLD_DUMPED));
}

bool
vmt_launch_has_ended(struct vmt_launch *launch)
{
	assert(launch->pid > 0);
	if (launch->ended)
		return true;
	if (launch->end_ns == 0) {
		if (!is_over(launch->pid))
			return false;
		launch->end_ns = vmt_ticks_monotonic_ns();
	}
	if (vmt_ticks_monotonic_ns() - launch->end_ns >= KEPT_NS)
		(void)vmt_launch_reap(launch, false);
	return true;
}

/* What wait4 tells of a process is the most that it had, or one of the children that it waited for
 * (RUSAGE_BOTH in kernel/exit.c). Each of those has faulted at least once, and the kernel adds that
 * up at the same place. Of a process that has ended, and is not reaped yet. */
static bool
waited_for_none(pid_t pid)
{
	struct vmt_procfs_stat stat = {.children_faults = 1};
	int fd = vmt_procfs_open((uint32_t)pid, "stat");
	bool is_read = fd >= 0 && vmt_procfs_read_stat(fd, &stat);

	if (fd >= 0)
		close(fd);
	return is_read && stat.state == 'Z' && stat.children_faults == 0;
}

/* A stop that another thread of ours will take ends the wait, too, and is waited out. */
static bool
wait_for_end(const struct vmt_launch *launch, bool block)
{
	const struct timespec nap = {0, STOP_NAP_NS};
	siginfo_t info;

	while (!is_over(launch->pid)) {
		if (!block)
			return false;
		if (waitid(P_PID, (id_t)launch->pid, &info, WEXITED | WNOWAIT) == 0 &&
		    (info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED))
			nanosleep(&nap, NULL);
	}
	return true;
}

bool
vmt_launch_reap(struct vmt_launch *launch, bool block)
{
	struct rusage usage = {.ru_maxrss = 0};
	bool is_own;
	pid_t got;

	assert(launch->pid > 0);
	if (launch->ended)
		return true;
	if (!wait_for_end(launch, block))
		return false;
	is_own = waited_for_none(launch->pid);
	do
		got = wait4(launch->pid, &launch->wait_status, 0, &usage);
	while (got < 0 && errno == EINTR);
	/* Nobody else waits for it; should somebody have, its status is lost. */
	if (got < 0)
		launch->wait_status = 0;
	launch->ended = true;
	launch->peak_rss_bytes = got < 0 || !is_own ? 0 : (uint64_t)usage.ru_maxrss << 10;
	if (launch->end_ns == 0)
		launch->end_ns = vmt_ticks_monotonic_ns();
	/* The number may be given to a stranger from here on. */
	forward_to = 0;
	return true;
}

int
vmt_launch_status(const struct vmt_launch *launch)
{
	assert(launch->ended);
	if (WIFSIGNALED(launch->wait_status))
		return 128 + WTERMSIG(launch->wait_status);
	return WEXITSTATUS(launch->wait_status);
}
