/*
 * steady.c: a service that has run for a while, and goes on
 *
 * Usage: steady PAIRS RATE. Replaces PAIRS blocks among 20,000 (16 to 143 bytes), says so in a
 * line, and goes on with RATE replacements a second until its input ends.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIVE 20000u
#define STEP_MS 100

static void *blocks[LIVE];
static uint64_t seed = 1;

/* xorshift64 (Marsaglia 2003) */
static uint64_t
next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void
replace(long pairs)
{
	for (long i = 0; i < pairs; i++) {
		uint64_t random = next();
		size_t place = (size_t)((random >> 20) % LIVE);

		free(blocks[place]);
		blocks[place] = malloc(16 + (random & 127));
	}
}

int
main(int argc, char **argv)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	long rate;

	if (argc != 3)
		return 2;
	rate = atol(argv[2]);
	replace(atol(argv[1]));
	puts("ready");
	fflush(stdout);
	while (poll(&input, 1, STEP_MS) == 0)
		replace(rate * STEP_MS / 1000);
	return 0;
}
