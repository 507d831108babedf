/*
 * churn.c: a heap as a service has one
 *
 * Usage: churn LIVE PAIRS THREADS [STACKS]. Each thread keeps LIVE blocks of mixed sizes (16 bytes
 * to 4 KiB, small ones most) and replaces PAIRS of them, each at a place that a generator picks,
 * from one of STACKS call stacks (default 4096, a power of two).
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t live;
static long pairs;
static unsigned depth = 12;

/* xorshift64 (Marsaglia 2003) */
static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static size_t
size_of(uint64_t random)
{
	return (16 + (random & 127)) << ((random >> 7 & 15) == 0 ? 5 : 0);
}

static void *left(uint64_t random, unsigned levels);
static void *right(uint64_t random, unsigned levels);

/* One bit of the number for each level decides which function calls. */
__attribute__((noinline)) static void *
left(uint64_t random, unsigned levels)
{
	void *block = levels == 0	     ? malloc(size_of(random >> 12))
		      : random >> levels & 1 ? left(random, levels - 1)
					     : right(random, levels - 1);

	__asm__ volatile("" ::: "memory");
	return block;
}

__attribute__((noinline)) static void *
right(uint64_t random, unsigned levels)
{
	void *block = levels == 0	     ? malloc(size_of(random >> 12))
		      : random >> levels & 1 ? left(random, levels - 1)
					     : right(random, levels - 1);

	__asm__ volatile("" ::: "memory");
	return block;
}

static void *
churn(void *argument)
{
	uint64_t seed = (uintptr_t)argument * 0x9e3779b97f4a7c15 + 1;
	void **blocks = calloc(live, sizeof(*blocks));

	if (blocks == NULL)
		exit(1);
	for (size_t i = 0; i < live; i++)
		blocks[i] = left(next(&seed), depth);
	for (long i = 0; i < pairs; i++) {
		uint64_t random = next(&seed);
		size_t place = (size_t)((random >> 20) % live);

		free(blocks[place]);
		blocks[place] = left(random, depth);
	}
	return blocks;
}

int
main(int argc, char **argv)
{
	pthread_t threads[64];

	if (argc < 4)
		return 2;
	live = strtoul(argv[1], NULL, 10);
	pairs = strtol(argv[2], NULL, 10);
	long count = strtol(argv[3], NULL, 10);

	if (argc > 4)
		depth = (unsigned)__builtin_ctzl(strtoul(argv[4], NULL, 10));
	if (live < 1 || count < 1 || count > 64 || depth > 60)
		return 2;
	for (long i = 1; i < count; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i) != 0)
			return 1;
	churn(NULL);
	for (long i = 1; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
