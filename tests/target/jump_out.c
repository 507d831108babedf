/* Jumps out of a signal handler, again and again, and so out of whatever hook it interrupted; then
 * maps a known number of ranges. */
#include "tests/target/truth.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#define JUMPS 400
#define RANGES 100

static sigjmp_buf outside;
static volatile sig_atomic_t armed;
static volatile sig_atomic_t jumps;

static void
jump(int number)
{
	(void)number;
	if (!armed)
		return;
	armed = 0;
	jumps++;
	siglongjmp(outside, 1);
}

static void
tick_each_us(long each_us)
{
	struct itimerval every = {{0, each_us}, {0, each_us}};

	setitimer(ITIMER_REAL, &every, NULL);
}

static NOINLINE void
storm(void)
{
	static char *range;

	range = truth_mapped(
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	sigsetjmp(outside, 1);
	armed = jumps < JUMPS;
	while (armed)
		madvise(range, MIB, MADV_DONTNEED);
	tick_each_us(0);
	munmap(range, MIB);
}

static NOINLINE void
map_after(void)
{
	char *range = truth_mapped(
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	range[0] = 1;
}

int
main(void)
{
	struct sigaction action = {.sa_handler = jump};

	if (sigaction(SIGALRM, &action, NULL) != 0)
		truth_die("sigaction");
	tick_each_us(150);
	storm();
	for (int i = 0; i < RANGES; i++)
		map_after();
	truth_site(&(struct truth_site){.kind = "mmap",
					.function = "map_after",
					.count = RANGES,
					.live_count = RANGES,
					.reserved_bytes = RANGES * 2 * PAGE,
					.accessible_bytes = RANGES * 2 * PAGE,
					.committed_bytes = RANGES * PAGE,
					.total_reserved_bytes = RANGES * 2 * PAGE});
	truth_end("jump_out");
	return 0;
}
