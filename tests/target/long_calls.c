/* Calls that fill memory before they return, one kind in each mode, over and over: populate, locked
 * (mlockall), fixed, moved, shared. Half of the time is spent inside of them. */
#include "tests/target/truth.h"

#include <pthread.h>

#define BYTES (96 * MIB)
#define ROUNDS 24

static NOINLINE char *
map_filled(void *at, int flags)
{
	return truth_mapped(
	    mmap(at, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
}

static NOINLINE char *
move_filled(char *range)
{
	return truth_mapped(mremap(range, BYTES, BYTES + MIB, MREMAP_MAYMOVE));
}

static void *
two_at_once(void *unused)
{
	for (int i = 0; i < ROUNDS / 2; i++)
		munmap(map_filled(NULL, MAP_POPULATE), BYTES);
	return unused;
}

static void
in_threads(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, two_at_once, NULL) != 0)
		truth_die("pthread_create");
	two_at_once(NULL);
	pthread_join(other, NULL);
}

int
main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "populate";
	char *place = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (strcmp(mode, "threads") == 0) {
		in_threads();
		return 0;
	}
	if (strcmp(mode, "future") == 0 && mlockall(MCL_FUTURE) != 0)
		return 77;
	for (int i = 0; i < ROUNDS; i++) {
		char *range;
		size_t bytes = BYTES;

		if (strcmp(mode, "fixed") == 0) {
			range = map_filled(place, MAP_POPULATE | MAP_FIXED);
			if (i + 1 < ROUNDS)
				continue;
		} else if (strcmp(mode, "future") == 0) {
			range = map_filled(NULL, 0);
		} else {
			range = map_filled(NULL, MAP_POPULATE);
		}
		if (strcmp(mode, "moved") == 0) {
			range = move_filled(range);
			bytes += MIB;
		}
		munmap(range, bytes);
	}
	return 0;
}
