#include "tools/serve/worker_reader.h"

#include "base/ticks.h"
#include "tools/memory_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_US INT64_C(1000)
#define CONTROL_FD (STDERR_FILENO + 1)

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

bool
vmt_worker_reader_ask(int control, const void *question, size_t bytes, int answer)
{
	union control with = {.room = {0}};
	struct iovec part = {.iov_base = (void *)(uintptr_t)question, .iov_len = bytes};
	const struct msghdr message = {.msg_iov = &part,
				       .msg_iovlen = 1,
				       .msg_control = with.room,
				       .msg_controllen = sizeof(with.room)};

	with.header = (struct cmsghdr){
	    .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&with.header), &answer, sizeof(answer));
	return sendmsg(control, &message, MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* The descriptor for the answer; -1: nobody asks any more. */
static int
wait_for_question(int control, void *question)
{
	union control with = {.room = {0}};
	struct iovec part = {.iov_base = question, .iov_len = VMT_WORKER_QUESTION_BYTES};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = with.room,
				 .msg_controllen = sizeof(with.room)};
	ssize_t got;
	int fd;

	do
		got = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0 || message.msg_controllen < CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(&with.header), sizeof(fd));
	return fd;
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
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Connections and keys of the parent are closed. */
static bool
keep_only(int control)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	return null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
	       (control == CONTROL_FD || dup3(control, CONTROL_FD, O_CLOEXEC) >= 0) &&
	       close_range(CONTROL_FD + 1, ~0u, 0) == 0;
}

static void
confine(const struct vmt_worker_limits *limits)
{
	const struct rlimit file = {0, 0};

	setrlimit(RLIMIT_FSIZE, &file);
	signal(SIGXFSZ, SIG_IGN); /* writing says so then */
	vmt_memory_limit_set(limits->memory_bytes);
}

/* What is left of the time, and what of CPU there is: a report's reader may have two threads. */
static void
set_end(const struct vmt_worker_limits *limits, int64_t until_ns)
{
	const rlim_t cpu_seconds = 2 * (rlim_t)limits->seconds;
	const struct rlimit cpu = {cpu_seconds, cpu_seconds + 1};
	int64_t left_ns = until_ns - (int64_t)vmt_ticks_monotonic_ns();
	struct itimerval timer = {.it_value = {.tv_usec = 1}};

	if (left_ns > NS_PER_US)
		timer.it_value = (struct timeval){.tv_sec = left_ns / NS_PER_SECOND,
						  .tv_usec = left_ns % NS_PER_SECOND / NS_PER_US};
	setitimer(ITIMER_REAL, &timer, NULL); /* SIGALRM kills */
	setrlimit(RLIMIT_CPU, &cpu);
}

static enum vmt_worker_verdict
verdict_of(int result)
{
	if (result == 0)
		return VMT_WORKER_VERDICT_DONE;
	return result == -ENOENT ? VMT_WORKER_VERDICT_ABSENT : VMT_WORKER_VERDICT_FAILED;
}

/* The pipe becomes standard output. */
__attribute__((noreturn)) static void
run_child(const struct vmt_worker_reader *reader, int answer, pid_t parent, int64_t until_ns,
	  int result, struct vmt_err *err)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(answer, STDOUT_FILENO) < 0)
		_exit(VMT_WORKER_VERDICT_FAILED);
	close(answer);
	close(CONTROL_FD);
	signal(SIGPIPE, SIG_DFL);
	set_end(&reader->limits, until_ns);
	if (result == 0)
		result = reader->job->write(reader->job->context, stdout, err);
	if (result < 0 && err->text[0])
		printf("%s\n", err->text);
	if (fflush(stdout) != 0 || ferror(stdout))
		_exit(VMT_WORKER_VERDICT_FAILED);
	_exit(verdict_of(result));
}

/* What it started goes too. */
static signed char
wait_for_child(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL);
	return WIFEXITED(status) ? (signed char)WEXITSTATUS(status)
				 : (signed char)(VMT_WORKER_VERDICT_LOST + WTERMSIG(status));
}

static signed char
answer_question(const struct vmt_worker_reader *reader, const void *question, int answer)
{
	const struct vmt_worker_job *job = reader->job;
	int64_t until_ns =
	    (int64_t)vmt_ticks_monotonic_ns() + reader->limits.seconds * NS_PER_SECOND;
	struct vmt_err err = {""};
	int result = job->read ? job->read(job->context, question, &err) : 0;
	pid_t self = getpid();
	pid_t pid;

	if (job->fork)
		job->fork(job->context, true);
	pid = fork();
	if (pid == 0)
		run_child(reader, answer, self, until_ns, result, &err);
	close(answer);
	if (job->fork)
		job->fork(job->context, false);
	if (pid < 0)
		return VMT_WORKER_VERDICT_LOST;
	setpgid(pid, pid); /* whoever comes first */
	return wait_for_child(pid);
}

void
vmt_worker_reader_run(const struct vmt_worker_reader *reader, int control)
{
	_Alignas(16) static unsigned char question[VMT_WORKER_QUESTION_BYTES];

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != reader->parent || !keep_only(control))
		_exit(1);
	reset_signals();
	confine(&reader->limits);
	for (;;) {
		int answer = wait_for_question(CONTROL_FD, question);
		signed char verdict;

		if (answer < 0)
			_exit(0);
		verdict = answer_question(reader, question, answer);
		if (send(CONTROL_FD, &verdict, 1, MSG_NOSIGNAL) != 1)
			_exit(0);
	}
}
