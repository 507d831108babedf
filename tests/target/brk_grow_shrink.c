/* Moves the program break by sbrk and by brk, up and down; nothing else allocates meanwhile. */
#include "tests/target/truth.h"

static NOINLINE char *
grow_heap(size_t length)
{
	char *old = sbrk((intptr_t)length);

	if (old == (void *)-1)
		truth_die("sbrk");
	return old;
}

static NOINLINE void
grow_by_brk(char *to)
{
	if (brk(to) != 0)
		truth_die("brk");
}

static NOINLINE void
shrink_heap(size_t length)
{
	if (sbrk(-(intptr_t)length) == (void *)-1)
		truth_die("sbrk");
}

int
main(void)
{
	struct truth_site first = {.kind = "brk", .function = "grow_heap"};
	struct truth_site second = {.kind = "brk", .function = "grow_by_brk"};
	uintptr_t odd = (uintptr_t)sbrk(0) % PAGE;
	char *start = grow_heap(odd ? PAGE - odd : 0) + (odd ? PAGE - odd : 0);
	size_t kept;

	grow_heap(16 * MIB);
	truth_touch(start, 16 * MIB, PAGE);
	grow_by_brk(start + 24 * MIB);
	truth_touch(start + 16 * MIB, 8 * MIB, 2 * PAGE);
	second.released_committed_bytes = truth_present(start + 16 * MIB, 8 * MIB);
	first.released_committed_bytes = truth_present(start + 12 * MIB, 4 * MIB);
	/* two steps: a release of several owners at once is shared out by length, not by page */
	shrink_heap(8 * MIB);
	shrink_heap(4 * MIB);

	kept = 12 * MIB;
	first.count = 1;
	first.live_count = 1;
	first.total_reserved_bytes = 16 * MIB;
	first.released_bytes = 4 * MIB;
	first.reserved_bytes = first.accessible_bytes = kept;
	first.committed_bytes = truth_present(start, kept);
	second.count = 1;
	second.total_reserved_bytes = second.released_bytes = 8 * MIB;
	truth_figure("odd_bytes", (long long)odd);
	truth_site(&first);
	truth_site(&second);
	return truth_end("brk_grow_shrink");
}
