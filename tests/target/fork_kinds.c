/* Makes processes in every way there is, again and again, while two more threads allocate and fork
 * as well: fork_kinds ROUNDS. Each child maps memory of a size that tells what kind of child it is
 * and that nobody else maps; one that borrows its parent's memory maps as the parent does. */
#include "tests/target/truth.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define FORKERS 2
#define STACK (64 * KIB)

extern char **environ;

static volatile sig_atomic_t in_handler_children;
static long rounds = 10;
static long children;
static char self[4096];

static NOINLINE void
map_in_child(size_t pages)
{
	char *range = truth_mapped(
	    mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	range[0] = 1;
	munmap(range, pages * PAGE);
}

static NOINLINE void
map_in_parent(void)
{
	char *range = truth_mapped(
	    mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	range[0] = 1;
	munmap(range, 3 * PAGE);
}

static void
expect(pid_t child, int expected)
{
	int status = 0;

	if (child < 0 || waitpid(child, &status, __WALL) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != expected)
		truth_die("a child");
	__atomic_fetch_add(&children, 1, __ATOMIC_RELAXED);
}

static void
by_fork(void)
{
	pid_t child = fork();

	if (child == 0) {
		free(malloc(3000));
		map_in_child(11);
		_exit(1);
	}
	expect(child, 1);
}

static void
by_raw_clone(void)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (child == 0) {
		map_in_child(12);
		_exit(2);
	}
	expect(child, 2);
}

static int
run_borrowing(void *unused)
{
	(void)unused;
	map_in_parent();
	syscall(SYS_exit, 3);
	return 3;
}

/* On a stack of its own, on its parent's memory, one after the other. */
static void
by_clone_vm(void)
{
	static char stack[STACK] __attribute__((aligned(16)));

	expect(clone(run_borrowing, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL), 3);
}

static void
by_vfork(void)
{
	pid_t child = vfork();

	if (child == 0) {
		map_in_parent();
		_exit(4);
	}
	expect(child, 4);
}

static void
by_spawn(void)
{
	char *const arguments[] = {self, (char *)"child", NULL};
	pid_t child;

	if (posix_spawn(&child, self, NULL, NULL, arguments, environ) != 0)
		truth_die("posix_spawn");
	expect(child, 5);
}

static void
by_vfork_and_exec(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execl(self, self, "child", (char *)NULL);
		_exit(9);
	}
	expect(child, 5);
}

/* The grandchild is its own process; nobody waits for it but the pipe that it holds open. */
static void
by_daemon(void)
{
	int ends[2];
	char byte;
	pid_t child;

	if (pipe(ends) != 0)
		truth_die("pipe");
	child = fork();
	if (child == 0) {
		close(ends[0]);
		if (daemon(1, 1) != 0)
			_exit(9);
		map_in_child(13);
		if (write(ends[1], "x", 1) != 1)
			_exit(9);
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 1)
		truth_die("daemon");
	close(ends[0]);
	expect(child, 0);
}

static void
by_double_fork(void)
{
	pid_t child = fork();

	if (child == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0) {
			map_in_child(14);
			_exit(6);
		}
		expect(grandchild, 6);
		_exit(7);
	}
	expect(child, 7);
}

/* Of a process that sits in a hook, as often as not. */
static void
fork_in_handler(int number)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	int status;

	(void)number;
	if (child == 0) {
		map_in_child(15);
		_exit(8);
	}
	if (waitpid(child, &status, __WALL) == child && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 8)
		in_handler_children++;
}

static void
by_signal(void)
{
	struct itimerval once = {{0, 0}, {0, 100}};
	sig_atomic_t before = in_handler_children;

	setitimer(ITIMER_REAL, &once, NULL);
	while (in_handler_children == before)
		map_in_parent();
	children++;
}

/* In atfork handlers of a fork: maps in all three. */
static void
map_around(void)
{
	map_in_parent();
}

static void
map_after_in_child(void)
{
	map_in_child(16);
}

static void *
fork_on(void *unused)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (long i = 0; i < rounds; i++) {
		free(malloc(5000));
		by_fork();
		by_raw_clone();
	}
	return unused;
}

int
main(int argc, char **argv)
{
	static void (*const kinds[])(void) = {by_fork,	 by_raw_clone,	 by_clone_vm,
					      by_vfork,	 by_spawn,	 by_vfork_and_exec,
					      by_daemon, by_double_fork, by_signal};
	struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
	pthread_t threads[FORKERS];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		truth_die("readlink");
	if (argc > 1 && strcmp(argv[1], "child") == 0) {
		map_in_child(17);
		return 5;
	}
	if (argc > 1)
		rounds = atol(argv[1]);
	if (sigaction(SIGALRM, &action, NULL) != 0 ||
	    pthread_atfork(map_around, map_around, map_after_in_child) != 0)
		truth_die("setting up");
	for (int i = 0; i < FORKERS; i++)
		if (pthread_create(&threads[i], NULL, fork_on, NULL) != 0)
			truth_die("pthread_create");
	for (long i = 0; i < rounds; i++)
		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
			kinds[kind]();
	for (int i = 0; i < FORKERS; i++)
		pthread_join(threads[i], NULL);
	truth_figure("children", children);
	return truth_end("fork_kinds");
}
