/* Rounds of many calls, one for each line of standard input; argv[1] says of what: malloc or map.
 * Says after each what malloc's live blocks have, in bytes. Beside them it holds a mapping that is
 * touched before the first round. */
#include "tests/target/truth.h"

#define CALLS_A_ROUND 100000
#define LIVE 20000
#define HELD_BYTES (8 * MIB)

static char *live[LIVE];
static size_t live_bytes[LIVE];
static size_t live_sum;

static NOINLINE char *
held_mapping(void)
{
	char *range = truth_mapped(
	    mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	truth_touch(range, HELD_BYTES, PAGE);
	return range;
}

static NOINLINE char *
round_block(size_t bytes)
{
	char *block = malloc(bytes);

	if (!block)
		_exit(3);
	return block;
}

static NOINLINE char *
round_map(void)
{
	return truth_mapped(
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static size_t
next(size_t *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return *state >> 33;
}

static void
call(const char *what, size_t number)
{
	size_t at = number % LIVE;

	if (*what == 'm' && what[1] == 'a' && what[2] == 'p') {
		char *range = round_map();

		*range = 1;
		munmap(range, PAGE);
		return;
	}
	free(live[at]);
	live_sum -= live_bytes[at];
	live_bytes[at] = 400 + number % 800;
	live[at] = round_block(live_bytes[at]);
	live_sum += live_bytes[at];
}

int
main(int argc, char **argv)
{
	char *held = held_mapping();
	size_t state = 1;
	char line[8];

	if (argc != 2)
		return 2;
	while (read(0, line, sizeof(line)) > 0) {
		char said[32];
		int length;

		for (int i = 0; i < CALLS_A_ROUND; i++)
			call(argv[1], next(&state));
		length = snprintf(said, sizeof(said), "%zu\n", live_sum);
		if (write(1, said, (size_t)length) != length)
			return 3;
	}
	return held[HELD_BYTES / 2] == 77;
}
