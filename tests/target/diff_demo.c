/*
 * Reserves an arena of 1 GiB and an index of 128 MiB, and touches what its one argument says:
 *
 *   base      64 MiB of the arena
 *   touch    128 MiB of the arena
 *   grow      64 MiB of the arena, and all of 256 MiB that it reserves besides
 *   reserve   64 MiB of the arena, and nothing of 256 MiB that it reserves besides
 *   move      64 MiB of the index
 */
#include "tests/target/truth.h"

static NOINLINE char *
reserve_arena(void)
{
	return truth_mapped(mmap(NULL, 1024 * MIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static NOINLINE char *
reserve_index(void)
{
	return truth_mapped(mmap(NULL, 128 * MIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static NOINLINE char *
reserve_more(void)
{
	return truth_mapped(mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

int
main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "base";
	char *arena = reserve_arena();
	char *index = reserve_index();
	char *more = NULL;

	/* Whole huge pages would commit more than is touched. */
	madvise(arena, 1024 * MIB, MADV_NOHUGEPAGE);
	madvise(index, 128 * MIB, MADV_NOHUGEPAGE);
	if (strcmp(mode, "grow") == 0 || strcmp(mode, "reserve") == 0)
		more = reserve_more();
	if (strcmp(mode, "move") == 0)
		truth_touch(index, 64 * MIB, PAGE);
	else
		truth_touch(arena, (strcmp(mode, "touch") == 0 ? 128 : 64) * MIB, PAGE);
	if (strcmp(mode, "grow") == 0)
		truth_touch(more, 256 * MIB, PAGE);
	return 0;
}
