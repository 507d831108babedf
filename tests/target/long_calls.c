/* Calls that fill memory before they return, one kind in each mode, over and over: populate, locked
 * (mlockall), fixed, moved; under mlockall also segment (shmat) and break (sbrk); and advised
 * (MADV_POPULATE_WRITE) and pinned (mlock), which fill what is mapped already. Half of the time is
 * spent inside of them. */
#include "tests/soak.h"
#include "tests/target/truth.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define BYTES (96 * MIB)
#define ROUNDS ((int)soak_count(8, 24))

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

static NOINLINE void
fill_segment(void)
{
	int id = shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600);
	void *segment = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	if (segment == (void *)-1 || shmdt(segment) != 0)
		truth_die("shmat");
}

static NOINLINE void
fill_break(void)
{
	if (sbrk(BYTES) == (void *)-1 || sbrk(-(intptr_t)BYTES) == (void *)-1)
		truth_die("sbrk");
}

/* False: the kernel does not know how. */
static NOINLINE bool
fill_mapped(bool advised)
{
	char *range = map_filled(NULL, 0);
	bool filled =
	    advised ? madvise(range, BYTES, MADV_POPULATE_WRITE) == 0 : mlock(range, BYTES) == 0;

	munmap(range, BYTES);
	return filled;
}

static bool
fill_otherwise(const char *mode, bool *known)
{
	*known = true;
	if (strcmp(mode, "segment") == 0)
		fill_segment();
	else if (strcmp(mode, "break") == 0)
		fill_break();
	else if (strcmp(mode, "advised") == 0 || strcmp(mode, "pinned") == 0)
		return fill_mapped(mode[0] == 'a');
	else
		*known = false;
	return true;
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
	if ((strcmp(mode, "future") == 0 || strcmp(mode, "segment") == 0 ||
	     strcmp(mode, "break") == 0) &&
	    mlockall(MCL_FUTURE) != 0)
		return 77;
	for (int i = 0; i < ROUNDS; i++) {
		char *range;
		size_t bytes = BYTES;
		bool known;

		if (!fill_otherwise(mode, &known))
			return 77;
		if (known)
			continue;

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
