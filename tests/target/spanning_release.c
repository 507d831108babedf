/* Two neighbouring ranges of two sites, committed unlike, and a release that spans both: which
 * pages of it were whose nobody looks at, so their committed bytes are shared out by length. */
#include "tests/target/truth.h"

#define LENGTH (8 * MIB)

static NOINLINE char *
map_low(void)
{
	return truth_mapped(
	    mmap(NULL, 2 * LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE char *
map_high(char *where)
{
	return truth_mapped(mmap(where, LENGTH, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

int
main(void)
{
	char *low = map_low();
	char *high = map_high(low + LENGTH);
	size_t committed = 0;

	truth_touch(low, LENGTH, 4 * PAGE);
	truth_touch(high, LENGTH, PAGE);
	committed += truth_present(low + 5 * MIB, 4 * MIB);
	if (munmap(low + 5 * MIB, 4 * MIB) != 0)
		truth_die("munmap");
	committed += truth_present(high + MIB, MIB);
	if (munmap(high + MIB, MIB) != 0)
		truth_die("munmap");
	truth_figure("released_committed_bytes", (long long)committed);
	truth_figure("low_released_bytes", (long long)(LENGTH + 3 * MIB));
	truth_figure("high_released_bytes", 2 * (long long)MIB);
	truth_figure("low_committed_bytes", (long long)truth_present(low, 5 * MIB));
	truth_figure("high_committed_bytes", (long long)truth_present(high + 2 * MIB, 6 * MIB));
	return truth_end("spanning_release");
}
