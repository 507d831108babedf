/* Stands at some MiB, spikes by 200 MiB for 300 ms, drops it, and ends later. */
#include "tests/target/truth.h"

#include <time.h>

#define SPIKE (200 * MIB)

static void
stand(long milliseconds)
{
	struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	while (nanosleep(&rest, &rest) != 0)
		;
}

static NOINLINE char *
map_spike(void)
{
	return truth_mapped(
	    mmap(NULL, SPIKE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
main(void)
{
	stand(200);
	char *spike = map_spike();

	truth_touch(spike, SPIKE, PAGE);
	stand(300);
	if (munmap(spike, SPIKE) != 0)
		truth_die("munmap");
	stand(200);
	return 0;
}
