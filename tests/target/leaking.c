/* Leaks beside memory that stays: for each line of standard input, leak_blocks maps 40 times 256
 * KiB and touches them. Says after each line how many bytes it has leaked. */
#include "tests/target/truth.h"

#define STEP (256 * KIB)
#define STEPS 40
#define STEADY (4 * MIB)

static NOINLINE char *
steady_cache(void)
{
	char *range = truth_mapped(
	    mmap(NULL, STEADY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	truth_touch(range, STEADY, PAGE);
	return range;
}

static NOINLINE void
leak_blocks(void)
{
	for (int i = 0; i < STEPS; i++) {
		char *range = truth_mapped(
		    mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

		truth_touch(range, STEP, PAGE);
	}
}

int
main(void)
{
	char *steady = steady_cache();
	size_t bytes = 0;
	char line[8];

	while (read(0, line, sizeof(line)) > 0) {
		char said[32];
		int length;

		leak_blocks();
		bytes += STEPS * STEP;
		length = snprintf(said, sizeof(said), "%zu\n", bytes);
		if (write(1, said, (size_t)length) != length)
			return 2;
	}
	return steady[0] == 77;
}
