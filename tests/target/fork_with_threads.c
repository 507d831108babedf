/* Forks while threads allocate; each child allocates, maps, forks once more and leaves in one of
 * several ways. vfork and posix_spawn come in between. */
#include "tests/target/truth.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define THREADS 4
#define CHILDREN 12

extern char **environ;

static volatile int stop;

static void *
churn(void *unused)
{
	while (!stop) {
		char *block = malloc(5000);
		char *range = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		block[0] = range[0] = 1;
		munmap(range, 8 * PAGE);
		free(block);
	}
	return unused;
}

static NOINLINE char *
map_in_child(void)
{
	return truth_mapped(
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void
expect_status(pid_t child, int expected)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != expected)
		truth_die("a child");
}

static void
be_child(int number)
{
	char *range = map_in_child();
	pid_t grandchild;

	truth_touch(range, MIB, PAGE);
	free(malloc(100000));
	grandchild = fork();
	if (grandchild == 0)
		_Exit(3);
	expect_status(grandchild, 3);
	if (number % 3 == 0)
		exit(number);
	if (number % 3 == 1)
		_exit(number);
	syscall(SYS_exit_group, number);
}

static void
leave_by_vfork(void)
{
	char *const arguments[] = {"false", NULL};
	pid_t child = vfork();

	if (child == 0) {
		execv("/nonexistent/program", arguments);
		_exit(9);
	}
	expect_status(child, 9);
}

static void
spawn_program(void)
{
	char *const arguments[] = {"false", NULL};
	pid_t child;

	if (posix_spawnp(&child, "false", NULL, NULL, arguments, environ) != 0)
		truth_die("posix_spawn");
	expect_status(child, 1);
}

int
main(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, churn, NULL) != 0)
			truth_die("pthread_create");
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork();

		if (child == 0)
			be_child(i);
		expect_status(child, i);
		leave_by_vfork();
		spawn_program();
	}
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	truth_figure("children", CHILDREN);
	return truth_end("fork_with_threads");
}
