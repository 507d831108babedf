/* Reserves 1 GiB and touches 64 MiB of it. */
#include "tests/target/truth.h"

#define RESERVED (1024 * MIB)

static NOINLINE char *
reserve_arena(void)
{
	return truth_mapped(mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

int
main(void)
{
	char *arena = reserve_arena();

	truth_touch(arena, 64 * MIB, PAGE);
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = "reserve_arena",
	    .count = 1,
	    .live_count = 1,
	    .reserved_bytes = RESERVED,
	    .accessible_bytes = RESERVED,
	    .committed_bytes = truth_present(arena, RESERVED),
	    .total_reserved_bytes = RESERVED,
	});
	return truth_end("reserve_touch");
}
