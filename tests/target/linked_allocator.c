/* An allocator's code in the program itself, known by its functions' names alone: it maps 8 MiB,
 * half of it touched, beside 4 MiB that the program maps for itself. */
#include "truth.h"

NOINLINE static char *
je_pages_map(size_t length)
{
	char *range = truth_mapped(
	    mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	madvise(range, length, MADV_NOHUGEPAGE);
	return range;
}

NOINLINE static char *
map_own(size_t length)
{
	return truth_mapped(
	    mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
main(void)
{
	char *arena = je_pages_map(8 * MIB);
	char *own = map_own(4 * MIB);

	madvise(own, 4 * MIB, MADV_NOHUGEPAGE);
	truth_touch(arena, 4 * MIB, PAGE);
	truth_touch(own, 2 * MIB, PAGE);
	truth_figure("allocators", (long long)truth_present(arena, 8 * MIB));
	truth_figure("own", (long long)truth_present(own, 4 * MIB));
	return truth_end("linked_allocator");
}
