/* MAP_FIXED over the middle of a range, once more over a part of that, and a MAP_FIXED_NOREPLACE
 * that must not take anything away. */
#include "tests/target/truth.h"

#include <errno.h>

#define LENGTH (16 * MIB)

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static NOINLINE char *
map_below(void)
{
	return truth_mapped(
	    mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE void
map_over(char *place, size_t length)
{
	truth_mapped(mmap(place, length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

static NOINLINE void
map_beside(char *place)
{
	if (mmap(place, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) !=
		MAP_FAILED ||
	    errno != EEXIST)
		truth_die("MAP_FIXED_NOREPLACE over a mapping");
}

int
main(void)
{
	struct truth_site below = {.kind = "mmap", .function = "map_below"};
	struct truth_site over = {.kind = "mmap", .function = "map_over"};
	char *range = map_below();

	truth_touch(range, LENGTH, PAGE);
	below.released_committed_bytes = truth_present(range + 4 * MIB, 4 * MIB);
	map_over(range + 4 * MIB, 4 * MIB);
	truth_touch(range + 4 * MIB, 2 * MIB, PAGE);
	over.released_committed_bytes = truth_present(range + 5 * MIB, 2 * MIB);
	map_over(range + 5 * MIB, 2 * MIB);
	truth_touch(range + 5 * MIB, PAGE, PAGE);
	map_beside(range + 9 * MIB);

	below.count = 1;
	below.live_count = 1;
	below.total_reserved_bytes = LENGTH;
	below.released_bytes = 4 * MIB;
	below.reserved_bytes = below.accessible_bytes = 12 * MIB;
	below.committed_bytes =
	    truth_present(range, 4 * MIB) + truth_present(range + 8 * MIB, 8 * MIB);
	over.count = 2;
	over.live_count = 2;
	over.total_reserved_bytes = 6 * MIB;
	over.released_bytes = 2 * MIB;
	over.reserved_bytes = over.accessible_bytes = 4 * MIB;
	over.committed_bytes = truth_present(range + 4 * MIB, 4 * MIB);
	truth_site(&below);
	truth_site(&over);
	return truth_end("fixed_over_middle");
}
