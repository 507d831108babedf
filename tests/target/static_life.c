/* What a process goes through besides memory: signals, fork children that take memory, a program
 * that it executes, a longjmp out of a handler. Prints what it saw. Linked without a dynamic
 * loader, and stripped, by the test that uses it. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES ((size_t)1 << 20)

static sigjmp_buf before;
static volatile sig_atomic_t handled;

static char *
take(void)
{
	char *range = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (range == MAP_FAILED)
		abort();
	memset(range, 1, BYTES);
	return range;
}

static void
handle(int number)
{
	(void)number;
	handled++;
	munmap(take(), BYTES);
}

static void
leave(int number)
{
	(void)number;
	munmap(take(), BYTES);
	siglongjmp(before, 1);
}

static int
run_child(void)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		munmap(take(), BYTES / 2);
		_exit(take()[5] + 2);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
main(void)
{
	struct sigaction action = {.sa_handler = handle};
	char *held = take();

	sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = leave;
	sigaction(SIGUSR2, &action, NULL);
	for (int i = 0; i < 100; i++)
		raise(SIGUSR1);
	for (int i = 0; i < 200; i++)
		if (sigsetjmp(before, 1) == 0)
			raise(SIGUSR2);
	printf("handled %d, child %d, system %d, held %d\n", (int)handled, run_child(),
	       system("exit 4"), held[BYTES - 1]);
	munmap(held, BYTES);
	return 9;
}
