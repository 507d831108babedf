/*
 * lives.h: programs that stand in one call or other, and tell whether they were left alone
 *
 * A life is a fork child that waits in one way until it is woken, and checks what came of it: the
 * result, errno, its vector registers, its signal mask. It ends with status 0 where all is as it
 * should be.
 */
#ifndef VMT_TEST_LIVES_H
#define VMT_TEST_LIVES_H

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Of the life that is under way; the child has its copies. */
static int life_pipe[2];
static int life_socket;	    /* that listens */
static uint32_t *life_word; /* shared: 0 until it is woken */
static sigset_t life_mask;  /* what it blocks */
static volatile double life_float = 1.25;

static inline bool
life_is_woken(void)
{
	return __atomic_load_n(life_word, __ATOMIC_ACQUIRE) != 0;
}

static inline int
life_read(void)
{
	char byte = 0;

	return read(life_pipe[0], &byte, 1) == 1 && byte == 'x' ? 0 : 1;
}

static inline int
life_poll(void)
{
	struct pollfd asked = {life_pipe[0], POLLIN, 0};

	return poll(&asked, 1, 60000) == 1 && asked.revents == POLLIN ? 0 : 1;
}

static inline int
life_epoll_wait(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(fd, EPOLL_CTL_ADD, life_pipe[0], &event) != 0)
		return 2;
	return epoll_wait(fd, &event, 1, 60000) == 1 && event.events == EPOLLIN ? 0 : 1;
}

static inline int
life_select(void)
{
	struct timeval time = {60, 0};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(life_pipe[0], &set);
	return select(life_pipe[0] + 1, &set, NULL, NULL, &time) == 1 ? 0 : 1;
}

static inline int
life_futex(void)
{
	while (!life_is_woken()) {
		struct timespec time = {60, 0};

		if (syscall(SYS_futex, life_word, FUTEX_WAIT, 0, &time, NULL, 0) != 0 &&
		    errno != EAGAIN)
			return 1;
	}
	errno = 0;
	return 0;
}

static inline int
life_nanosleep(void)
{
	struct timespec time = {0, 30000000}, left = {7, 7};

	for (int i = 0; i < 100 && !life_is_woken(); i++)
		if (nanosleep(&time, &left) != 0)
			return 1;
	return 0;
}

static inline int
life_accept(void)
{
	return accept4(life_socket, NULL, NULL, SOCK_CLOEXEC) >= 0 ? 0 : 1;
}

/* With a time to wait a socket's call ends with EINTR at a mere stop. */
static inline int
life_accept_with_timeout(void)
{
	struct timeval time = {60, 0};

	if (setsockopt(life_socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) != 0)
		return 2;
	return life_accept();
}

static inline int
life_wait4(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(life_read() == 0 ? 9 : 1);
	return wait4(child, &status, 0, NULL) == child && WIFEXITED(status) &&
		       WEXITSTATUS(status) == 9
		   ? 0
		   : 1;
}

static inline int
life_sigtimedwait(void)
{
	struct timespec time = {60, 0};
	sigset_t awaited;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGUSR2);
	return sigtimedwait(&awaited, NULL, &time) == SIGUSR2 ? 0 : 1;
}

/* Whole numbers in vector registers, all of which have to be right at the end. */
static inline int
life_spin(void)
{
	double sums[8] = {0};
	uint64_t rounds = 0;

	while (!life_is_woken() || rounds == 0) {
		rounds++;
		for (int i = 0; i < 8; i++)
			sums[i] += i + 1;
	}
	for (int i = 0; i < 8; i++)
		if (sums[i] != (double)rounds * (i + 1)) /* below 2^53 */
			return 1;
	return 0;
}

static volatile sig_atomic_t life_handled;

static inline void
life_on_signal(int signal)
{
	(void)signal;
	life_handled = life_spin() == 0 ? 1 : 2;
}

/* In a handler, on an alternate stack. */
static inline int
life_handler(void)
{
	static char stack[65536];
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = life_on_signal, .sa_flags = SA_ONSTACK};
	stack_t after;

	if (sigaltstack(&alternate, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0 ||
	    raise(SIGUSR1) != 0 || sigaltstack(NULL, &after) != 0)
		return 2;
	return life_handled == 1 && after.ss_sp == stack ? 0 : 1;
}

static inline int
life_fork(void)
{
	while (!life_is_woken()) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(3);
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 3)
			return 1;
	}
	return 0;
}

/* Becomes one program after another, and ends by itself. */
static inline int
life_exec(void)
{
	static const char script[] =
	    "[ $1 -lt 20 ] || exit 0; exec sh -c \"$0\" \"$0\" $(($1 + 1))";

	execl("/bin/sh", "sh", "-c", script, script, "0", NULL);
	return 1;
}

enum life_kind {
	LIFE_PLAIN,
	LIFE_ENDS_AT_A_STOP, /* the kernel ends its call with EINTR at any stop, as by SIGSTOP */
	LIFE_STANDS,	     /* stopped by SIGSTOP when it is looked at */
	LIFE_CHANGES,	     /* may be another program by the time that it is looked at */
};

struct life {
	const char *name;
	int (*live)(void);
	enum life_kind kind;
};

static const struct life lives[] = {
    {"read", life_read, LIFE_PLAIN},
    {"poll", life_poll, LIFE_PLAIN},
    {"epoll_wait", life_epoll_wait, LIFE_ENDS_AT_A_STOP},
    {"select", life_select, LIFE_PLAIN},
    {"futex", life_futex, LIFE_PLAIN},
    {"nanosleep", life_nanosleep, LIFE_PLAIN},
    {"accept", life_accept, LIFE_PLAIN},
    {"accept with a timeout", life_accept_with_timeout, LIFE_ENDS_AT_A_STOP},
    {"wait4", life_wait4, LIFE_PLAIN},
    {"sigtimedwait", life_sigtimedwait, LIFE_ENDS_AT_A_STOP},
    {"a spin", life_spin, LIFE_PLAIN},
    {"a signal handler", life_handler, LIFE_PLAIN},
    {"forks", life_fork, LIFE_PLAIN},
    {"a stopped read", life_read, LIFE_STANDS},
    {"execs", life_exec, LIFE_CHANGES},
};

#define LIVES (sizeof(lives) / sizeof(*lives))

static inline void
life_open(struct sockaddr_un *name)
{
	socklen_t bytes = sizeof(*name);

	*name = (struct sockaddr_un){.sun_family = AF_UNIX};
	assert_int_equal(pipe(life_pipe), 0);
	life_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(life_socket >= 0);
	/* A name that the kernel chooses, in no file system. */
	assert_int_equal(bind(life_socket, (struct sockaddr *)name, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(life_socket, 4), 0);
	assert_int_equal(getsockname(life_socket, (struct sockaddr *)name, &bytes), 0);
	life_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(life_word != MAP_FAILED);
	sigemptyset(&life_mask);
	sigaddset(&life_mask, SIGUSR2);
}

/* It dies of them like any program. The test has handlers, which would go on with its cases here.
 */
static inline void
life_reset_signals(void)
{
	const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGTRAP, SIGABRT};
	const struct rlimit none = {0, 0};

	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		signal(fatal[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
}

static inline void
life_run(const struct life *life, int ready)
{
	sigset_t after;

	life_reset_signals();
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	alarm(120); /* outlives no failed test for long */
	sigprocmask(SIG_SETMASK, &life_mask, NULL);
	if (write(ready, "x", 1) != 1)
		_exit(10);
	close(ready);
	errno = 0;
	life_float = 1.25;
	if (life->live() != 0)
		_exit(errno ? errno : 11);
	if (errno != 0)
		_exit(12);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int signal = 1; signal < 32; signal++)
		if (sigismember(&after, signal) != sigismember(&life_mask, signal))
			_exit(13);
	_exit(0);
}

static struct sockaddr_un life_name;

/* It has begun when this returns, and stands in its call soon after. */
static inline pid_t
life_start(const struct life *life)
{
	int ready[2];
	char byte = 0;
	pid_t child;

	life_open(&life_name);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		life_run(life, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	if (life->kind == LIFE_STANDS) {
		assert_int_equal(kill(child, SIGSTOP), 0);
		assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
	}
	return child;
}

/* Wakes it, whatever it waits for, and returns the status that it ends with. */
static inline int
life_end(pid_t child)
{
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status = -1;

	kill(child, SIGCONT);
	__atomic_store_n(life_word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, life_word, FUTEX_WAKE, 1, NULL, NULL, 0);
	assert_int_equal(write(life_pipe[1], "x", 1), 1);
	kill(child, SIGUSR2); /* blocked by all */
	assert_int_equal(connect(client, (struct sockaddr *)&life_name, sizeof(sa_family_t) + 6),
			 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(client);
	close(life_socket);
	close(life_pipe[0]);
	close(life_pipe[1]);
	munmap(life_word, 4096);
	return status;
}

#endif
