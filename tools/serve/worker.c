#include "tools/serve/worker.h"

#include "tools/memory_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define LEAST_ROOM ((size_t)65536)

/* Exit statuses of the child. */
enum { STATUS_DONE, STATUS_ABSENT, STATUS_FAILED };

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* Those that were ignored from the beginning, as under nohup, stay so. */
static void
reset_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	sigset_t none;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct sigaction before;

		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			signal(numbers[i], SIG_DFL);
	}
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The pipe becomes standard output; connections and keys of the parent are closed. */
static bool
keep_only(int fd)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0 &&
	       close_range(STDERR_FILENO + 1, ~0u, 0) == 0;
}

static void
confine(const struct vmt_worker_limits *limits)
{
	const struct rlimit cpu = {limits->seconds, limits->seconds + 1};
	const struct rlimit file = {0, 0};

	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_FSIZE, &file);
	signal(SIGXFSZ, SIG_IGN); /* writing says so then */
	vmt_memory_limit_set(limits->memory_bytes);
}

__attribute__((noreturn)) static void
run_child(int fd, pid_t parent, const struct vmt_worker_limits *limits, vmt_worker_work *work,
	  void *context)
{
	struct vmt_err err = {""};
	int result;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !keep_only(fd))
		_exit(STATUS_FAILED);
	reset_signals();
	confine(limits);
	result = work(context, stdout, &err);
	if (result < 0 && err.text[0])
		printf("%s\n", err.text);
	if (fflush(stdout) != 0 || ferror(stdout))
		_exit(STATUS_FAILED);
	_exit(result == 0 ? STATUS_DONE : result == -ENOENT ? STATUS_ABSENT : STATUS_FAILED);
}

int
vmt_worker_start(struct vmt_worker *worker, const struct vmt_worker_limits *limits,
		 vmt_worker_work *work, void *context, struct vmt_err *err)
{
	pid_t parent = getpid();
	int ends[2];

	*worker = (struct vmt_worker){.pid = 0};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return vmt_err_set(err, errno, "pipe: %s", strerror(errno));
	fflush(stdout);
	worker->pid = fork();
	if (worker->pid == 0)
		run_child(ends[1], parent, limits, work, context);
	close(ends[1]);
	if (worker->pid < 0) {
		int error = errno;

		worker->pid = 0;
		close(ends[0]);
		return vmt_err_set(err, error, "fork: %s", strerror(error));
	}
	setpgid(worker->pid, worker->pid); /* whoever comes first */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	worker->fd = ends[0];
	worker->most_bytes = limits->output_bytes;
	worker->deadline_ns = now_ns() + limits->seconds * NS_PER_SECOND;
	return 0;
}

static bool
has_room(struct vmt_worker *worker)
{
	size_t room = worker->room ? worker->room * 2 : LEAST_ROOM;
	unsigned char *bytes;

	if (worker->length < worker->room)
		return true;
	if (worker->room >= worker->most_bytes)
		return false;
	bytes = realloc(worker->bytes, room);
	if (!bytes)
		return false;
	worker->bytes = bytes;
	worker->room = room;
	return true;
}

/* Its exit status, or -1: it was killed. What it started goes too. */
static int
reap(struct vmt_worker *worker, bool at_once)
{
	pid_t pid = worker->pid;
	int status = 0;

	if (at_once)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL);
	close(worker->fd);
	worker->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static enum vmt_worker_state
state_of(struct vmt_worker *worker, int status)
{
	switch (status) {
	case STATUS_DONE:
		return VMT_WORKER_DONE;
	case STATUS_ABSENT:
		return VMT_WORKER_ABSENT;
	case STATUS_FAILED:
		return VMT_WORKER_FAILED;
	default:
		worker->length = 0; /* a part of a result is none */
		return VMT_WORKER_FAILED;
	}
}

enum vmt_worker_state
vmt_worker_step(struct vmt_worker *worker)
{
	for (;;) {
		ssize_t got;

		if (!has_room(worker) || now_ns() > worker->deadline_ns)
			return state_of(worker, (reap(worker, true), -1));
		got =
		    read(worker->fd, worker->bytes + worker->length, worker->room - worker->length);
		if (got > 0)
			worker->length += (size_t)got;
		else if (got == 0)
			return state_of(worker, reap(worker, false));
		else if (errno == EAGAIN)
			return VMT_WORKER_RUNS;
		else if (errno != EINTR)
			return state_of(worker, (reap(worker, true), -1));
	}
}

void
vmt_worker_stop(struct vmt_worker *worker)
{
	if (worker->pid > 0)
		reap(worker, true);
	free(worker->bytes);
	*worker = (struct vmt_worker){.pid = 0};
}
