/* A mapping that the kernel makes larger at its start, where the program touches pages below it
 * (MAP_GROWSDOWN); one that was protected in parts; one whose growth was given back again. The
 * last two must not be taken for one another's. */
#include "truth.h"

#define BYTES MIB
#define GROWN (2 * MIB)
#define PLACE ((char *)0x100000000000)
#define APART (64 * MIB)

NOINLINE static char *
map_growing(char *place)
{
	return truth_mapped(mmap(place, BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
}

NOINLINE static char *
map_split(char *place)
{
	return truth_mapped(mmap(place, BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
}

NOINLINE static char *
map_cut(char *place)
{
	return truth_mapped(mmap(place, BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
}

/* Page by page downwards: the kernel takes no leap beyond the limit of a stack, all at once it
 * would. */
static void
grow(char *range)
{
	for (size_t at = PAGE; at <= GROWN; at += PAGE)
		*(volatile char *)(range - at) = 1;
}

static void
say(const char *function, const char *range, size_t grown)
{
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = function,
	    .count = 1,
	    .live_count = 1,
	    .reserved_bytes = BYTES + grown,
	    .accessible_bytes = BYTES + grown,
	    .committed_bytes = truth_present(range - grown, BYTES + grown),
	    .total_reserved_bytes = BYTES + grown,
	});
}

int
main(void)
{
	char *growing = map_growing(PLACE);
	char *split = map_split(PLACE + APART);
	char *cut = map_cut(PLACE + 2 * APART);

	truth_touch(growing, BYTES / 2, PAGE);
	grow(growing);
	grow(split);
	grow(cut);
	if (mprotect(split - GROWN, MIB, PROT_READ) || mprotect(split + PAGE, PAGE, PROT_READ) ||
	    munmap(cut - GROWN, GROWN))
		truth_die("mprotect or munmap");
	say("map_growing", growing, GROWN);
	say("map_split", split, GROWN);
	say("map_cut", cut, 0);
	return truth_end("grows_down");
}
