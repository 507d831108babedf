/* A block from each of 2^LEVELS call stacks: many_stacks [LEVELS], default 18. All stay live. */
#include "tests/target/truth.h"

static size_t made;

static void left(unsigned long path, unsigned levels);
static void right(unsigned long path, unsigned levels);

/* One bit of the path for each level decides which function calls. */
static inline __attribute__((always_inline)) void
descend(unsigned long path, unsigned levels)
{
	if (levels == 0) {
		void *block = malloc(16);

		__asm__ volatile("" : "+r"(block)); /* or a compiler needs no block */
		if (block == NULL)
			truth_die("malloc");
		made++;
	} else if (path >> (levels - 1) & 1) {
		left(path, levels - 1);
	} else {
		right(path, levels - 1);
	}
}

static NOINLINE void
left(unsigned long path, unsigned levels)
{
	descend(path, levels);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

static NOINLINE void
right(unsigned long path, unsigned levels)
{
	descend(path, levels);
	__asm__ volatile("" ::: "memory");
}

int
main(int argc, char **argv)
{
	unsigned levels = argc > 1 ? (unsigned)atoi(argv[1]) : 18;

	for (unsigned long path = 0; path < 1ul << levels; path++)
		left(path, levels);
	truth_figure("made", made);
	return truth_end("many_stacks");
}
