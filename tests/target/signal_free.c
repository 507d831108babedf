/* free in a handler of a signal that the program raises itself, and mmap and munmap in one that
 * interrupts anything at all, hooks among it. */
#include "tests/target/truth.h"

#include <signal.h>
#include <sys/time.h>

#define ROUNDS 2000

static char *victim;
static volatile sig_atomic_t freed;
static volatile sig_atomic_t ticks;

static NOINLINE void
free_victim(int number)
{
	(void)number;
	free(victim);
	victim = NULL;
	freed++;
}

static NOINLINE void
map_in_handler(int number)
{
	char *range =
	    mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)number;
	if (range == MAP_FAILED)
		_exit(98);
	range[0] = 1;
	munmap(range, 4 * PAGE);
	ticks++;
}

static NOINLINE char *
make_victim(void)
{
	return malloc(3000);
}

static void
handle(int number, void (*function)(int))
{
	struct sigaction action = {.sa_handler = function, .sa_flags = SA_RESTART};

	if (sigaction(number, &action, NULL) != 0)
		truth_die("sigaction");
}

int
main(void)
{
	struct itimerval every = {{0, 200}, {0, 200}};

	handle(SIGUSR1, free_victim);
	handle(SIGALRM, map_in_handler);
	setitimer(ITIMER_REAL, &every, NULL);
	for (int round = 0; round < ROUNDS || ticks < 50; round++) {
		char *range = truth_mapped(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

		victim = make_victim();
		victim[0] = 1;
		raise(SIGUSR1);
		munmap(range, 2 * PAGE);
	}
	every = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &every, NULL);
	truth_figure("freed", freed);
	truth_figure("ticked", ticks >= 50);
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "make_victim",
	    .count = (size_t)freed,
	    .total_reserved_bytes = (size_t)freed * 3000,
	    .released_bytes = (size_t)freed * 3000,
	});
	return truth_end("signal_free");
}
