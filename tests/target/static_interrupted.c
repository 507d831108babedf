/* A signal handler does something while its thread is in a raw call, at one instruction after the
 * other: static_interrupted WHAT FROM STRIDE. Each time a child steps through a call of mmap; at
 * the instruction whose number, from FROM on, is a multiple of STRIDE, the handler
 *
 *   forks    a process that maps in the handler, and then goes on with the call
 *   jumps    out: in this process, once, in the middle of the call
 *
 * FROM below 0 counts from the end of the call. Prints "tried COUNT of INSTRUCTIONS"; fails if a
 * process did not go on. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define TRAP_FLAG 0x100L
#define NEVER 1000000000L

enum { FINE = 7, MISSED = 8 };

static char what; /* the first letter */
static long steps;
static long wanted;
static sigjmp_buf out;
static char *
map(long pages)
{
	return (char *)syscall(SYS_mmap, 0, pages * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
map_and_unmap(long pages)
{
	char *range = map(pages);

	if (range == MAP_FAILED)
		_exit(1);
	range[0] = 1;
	if (syscall(SYS_munmap, range, pages * PAGE) != 0)
		_exit(2);
}

static void
fork_in_handler(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		map_and_unmap(3);
		return;
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		_exit(4);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != FINE)
		_exit(5);
}

static void
handle(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	if (steps++ != wanted)
		return;
	registers[REG_EFL] &= ~TRAP_FLAG;
	if (what == 'f')
		fork_in_handler();
	if (what == 'j')
		siglongjmp(out, 1);
}

/* The trap flag is set right before the call, and cleared after it. */
static void
step_through(long number)
{
	steps = 0;
	wanted = number;
	if (sigsetjmp(out, 1) != 0)
		return;
	__asm__ volatile("leaq -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; "
			 "leaq 128(%%rsp), %%rsp" ::
			     : "memory", "cc");
	if (map(8) == MAP_FAILED)
		_exit(6);
	__asm__ volatile("leaq -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; "
			 "leaq 128(%%rsp), %%rsp" ::
			     : "memory", "cc");
}

static void
be_child(long number)
{
	map_and_unmap(1);
	map_and_unmap(1);
	step_through(number);
	for (int i = 0; i < 3; i++)
		map_and_unmap(5);
	_exit(steps > number ? FINE : MISSED);
}

static int
try_at(long number)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		be_child(number);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    (WEXITSTATUS(status) != FINE && WEXITSTATUS(status) != MISSED)) {
		printf("at %ld: %x\n", number, (unsigned)status);
		exit(2);
	}
	return WEXITSTATUS(status) == FINE;
}

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
	long from = argc > 2 ? atol(argv[2]) : 0;
	long stride = argc > 3 ? atol(argv[3]) : 100;
	long tried = 0;
	long end;

	what = argc > 1 ? argv[1][0] : 0;
	if (sigaction(SIGTRAP, &action, NULL) != 0)
		return 1;
	/* The first ones look more up. */
	for (int i = 0; i < 3; i++)
		step_through(NEVER);
	end = steps;
	if (what == 'j') {
		step_through(end / 2);
		for (int i = 0; i < 3; i++)
			map_and_unmap(5);
		return printf("tried %d of %ld\n", steps > end / 2, end) < 0;
	}
	for (long i = from < 0 ? end + from : from; i >= 0 && i < end; i += stride)
		tried += try_at(i);
	return printf("tried %ld of %ld\n", tried, end) < 0;
}
