/* Reserves without access, opens a part, writes to it, and closes some of that again: committed
 * pages stay committed when they can no longer be reached. */
#include "tests/target/truth.h"

#define LENGTH (64 * MIB)

static NOINLINE char *
reserve_closed(void)
{
	return truth_mapped(
	    mmap(NULL, LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static NOINLINE void
protect(char *range, size_t length, int protection)
{
	if (mprotect(range, length, protection) != 0)
		truth_die("mprotect");
}

int
main(void)
{
	char *range = reserve_closed();

	protect(range + 8 * MIB, 16 * MIB, PROT_READ | PROT_WRITE);
	truth_touch(range + 8 * MIB, 12 * MIB, PAGE);
	protect(range + 10 * MIB, 4 * MIB, PROT_READ);
	protect(range + 14 * MIB, 2 * MIB, PROT_NONE);
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = "reserve_closed",
	    .count = 1,
	    .live_count = 1,
	    .reserved_bytes = LENGTH,
	    .accessible_bytes = 14 * MIB,
	    .committed_bytes = truth_present(range, LENGTH),
	    .total_reserved_bytes = LENGTH,
	});
	return truth_end("mprotect_kinds");
}
