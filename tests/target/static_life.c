/* What a process goes through besides memory: signals, fork children that take memory, a program
 * that it executes, a longjmp out of a handler; handlers that nest on the alternate stack, need a
 * large stack, and look where they run. Prints what it saw. Linked without a dynamic
 * loader, and stripped, by the test that uses it. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
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

#define DEEP_BYTES 200000
#define NESTED_BYTES 4096

static volatile sig_atomic_t overwritten, elsewhere, interrupted;
static char *main_frame;

/* On the alternate stack, which another signal's handler takes as well. */
static void
map_on_alternate_stack(int number)
{
	volatile char filled[NESTED_BYTES];

	(void)number;
	for (size_t i = 0; i < NESTED_BYTES; i++)
		filled[i] = 0x5a;
	for (int i = 0; i < 20; i++)
		munmap(take(), BYTES);
	for (size_t i = 0; i < NESTED_BYTES; i++)
		overwritten |= filled[i] != 0x5a;
}

static void
fill_alternate_stack(int number)
{
	volatile char filled[NESTED_BYTES / 2];

	(void)number;
	for (size_t i = 0; i < NESTED_BYTES / 2; i++)
		filled[i] = 0x7c;
	overwritten |= filled[0] != 0x7c;
	interrupted++;
}

/* On the stack of whom it interrupted. */
static void
go_deep(int number)
{
	volatile char deep[DEEP_BYTES];

	(void)number;
	deep[0] = deep[DEEP_BYTES - 1] = 1;
	elsewhere |= (char *)&deep[0] > main_frame || (char *)&deep[0] < main_frame - 4 * BYTES;
	interrupted++;
}

/* Until handlers have interrupted often. */
static void
be_interrupted(void (*handler)(int), int flags, void (*work)(void))
{
	struct itimerval often = {{0, 200}, {0, 200}};
	struct itimerval never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_RESTART};

	interrupted = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (interrupted < 500)
		work();
	setitimer(ITIMER_REAL, &never, NULL);
}

static void
raise_usr1(void)
{
	raise(SIGUSR1);
}

static void
map_and_unmap(void)
{
	munmap(take(), BYTES);
}

static void
be_interrupted_everywhere(void)
{
	static char memory[1 << 16];
	stack_t alternate = {.ss_sp = memory, .ss_size = sizeof(memory)};
	struct sigaction action = {.sa_handler = map_on_alternate_stack,
				   .sa_flags = SA_ONSTACK | SA_RESTART};

	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR1, &action, NULL);
	be_interrupted(fill_alternate_stack, SA_ONSTACK, raise_usr1);
	be_interrupted(go_deep, 0, map_and_unmap);
}

int
main(void)
{
	struct sigaction action = {.sa_handler = handle};
	char *held = take();

	main_frame = (char *)&action + BYTES / 16;

	sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = leave;
	sigaction(SIGUSR2, &action, NULL);
	for (int i = 0; i < 100; i++)
		raise(SIGUSR1);
	for (int i = 0; i < 200; i++)
		if (sigsetjmp(before, 1) == 0)
			raise(SIGUSR2);
	be_interrupted_everywhere();
	printf("handled %d, child %d, system %d, held %d, overwritten %d, elsewhere %d\n",
	       (int)handled, run_child(), system("exit 4"), held[BYTES - 1], (int)overwritten,
	       (int)elsewhere);
	munmap(held, BYTES);
	return 9;
}
