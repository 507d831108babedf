/* Grows by 512 KiB every 10 ms for argv[1] seconds. */
#include "tests/target/truth.h"

#include <time.h>

#define STEP (512 * KIB)

int
main(int argc, char **argv)
{
	size_t steps = argc > 1 ? (size_t)atoi(argv[1]) * 100 : 100;
	char *range = truth_mapped(mmap(NULL, steps * STEP, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));

	for (size_t step = 0; step < steps; step++) {
		truth_touch(range + step * STEP, STEP, PAGE);
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	return 0;
}
