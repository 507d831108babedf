/* A signal handler makes memory calls while its thread is in one: static_signals ROUNDS. The main
 * thread, then another, maps and unmaps 8 pages so often, and until the handler has run 100 times;
 * a third sends the signals. The handler maps and unmaps 3 pages, on an alternate stack. Prints
 * "mapped COUNT handled COUNT". */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define PAGE 4096
#define STACK_BYTES 65536

static volatile int handled;
static long rounds;
static long mapped;

static void
map_and_unmap(size_t bytes)
{
	char *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (range == MAP_FAILED)
		_exit(3);
	range[bytes - 1] = 1;
	if (munmap(range, bytes) != 0)
		_exit(4);
}

static void
handle(int number)
{
	stack_t stack;

	(void)number;
	if (sigaltstack(NULL, &stack) != 0 || !(stack.ss_flags & SS_ONSTACK))
		_exit(5);
	map_and_unmap((size_t)3 * PAGE);
	handled++;
}

static void
block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(how, &set, NULL);
}

static void *
work(void *unused)
{
	stack_t stack = {.ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES};
	int before = handled;

	if (!stack.ss_sp || sigaltstack(&stack, NULL) != 0)
		_exit(6);
	block(SIG_UNBLOCK);
	for (long i = 0; i < rounds || handled < before + 50; i++, mapped++)
		map_and_unmap((size_t)8 * PAGE);
	block(SIG_BLOCK);
	return unused;
}

int
main(int argc, char **argv)
{
	struct itimerval every = {{0, 300}, {0, 300}};
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
	pthread_t thread;

	rounds = argc > 1 ? atol(argv[1]) : 1000;
	block(SIG_BLOCK);
	if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0)
		return 8;
	work(NULL);
	if (pthread_create(&thread, NULL, work, NULL) != 0 || pthread_join(thread, NULL) != 0)
		return 9;
	return printf("mapped %ld handled %d\n", mapped, handled) < 0;
}
