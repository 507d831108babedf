/*
 * Maps a range, writes its number and what it has done so far to standard output, and so on for
 * ever: whoever reads a line knows that everything before it has happened. Range n is n % 64 + 1
 * pages long; each eighth one is unmapped again, blocks of malloc lie in between.
 */
#include "tests/target/truth.h"

static NOINLINE char *
map_witnessed(size_t length)
{
	return truth_mapped(
	    mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE char *
block_witnessed(size_t size)
{
	return malloc(size);
}

int
main(int argc, char **argv)
{
	size_t most = argc > 1 ? (size_t)atol(argv[1]) : SIZE_MAX;
	size_t unmapped = 0;

	for (size_t number = 1; number <= most; number++) {
		size_t length = (number % 64 + 1) * PAGE;
		char *range = map_witnessed(length);
		char *block = block_witnessed(100 + number % 1000);

		*(volatile char *)range = *(volatile char *)block = 1;
		free(block);
		if (number % 8 == 0) {
			unmapped++;
			munmap(range, length);
		}
		if (dprintf(1, "%zu %zu\n", number, unmapped) < 0)
			return 1;
	}
	return 0;
}
