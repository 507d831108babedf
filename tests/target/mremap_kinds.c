/* Every kind of mremap, each from a range and by a function of its own. What moves or grows changes
 * its owner to the mremap call, as realloc does; a smaller length in place gives back its tail. */
#include "tests/target/truth.h"

#include <errno.h>

#define LENGTH (8 * MIB)

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* One function a kind for the first range, so that sites differ. */
#define MAPS_RANGE(name)                                                                           \
	static NOINLINE char *name(void)                                                           \
	{                                                                                          \
		char *range = truth_mapped(mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,              \
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));              \
                                                                                                   \
		truth_touch(range, LENGTH, 2 * PAGE);                                              \
		return range;                                                                      \
	}

MAPS_RANGE(map_to_grow)
MAPS_RANGE(map_to_move)
MAPS_RANGE(map_to_shrink)
MAPS_RANGE(map_to_keep)
MAPS_RANGE(map_to_replace)
MAPS_RANGE(map_to_cut)

static NOINLINE char *
grow(char *range)
{
	return truth_mapped(mremap(range, LENGTH, 2 * LENGTH, MREMAP_MAYMOVE));
}

static NOINLINE char *
move(char *range, char *to)
{
	return truth_mapped(mremap(range, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, to));
}

static NOINLINE void
shrink(char *range)
{
	truth_mapped(mremap(range, LENGTH, LENGTH / 4, 0));
}

static NOINLINE char *
keep_old(char *range)
{
	return truth_mapped(mremap(range, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
}

static NOINLINE char *
cut_and_move(char *range, char *to)
{
	return truth_mapped(mremap(range, LENGTH, LENGTH / 2, MREMAP_MAYMOVE | MREMAP_FIXED, to));
}

static NOINLINE void
fail_to_grow(char *range)
{
	if (mremap(range, PAGE, 2 * PAGE, 0) != MAP_FAILED || errno != ENOMEM)
		truth_die("mremap without room");
}

/* The first range, as its own call left it: given back whole but for `kept` bytes. */
static void
say_first(const char *function, size_t kept, size_t committed, size_t released_committed)
{
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = function,
	    .count = 1,
	    .live_count = kept != 0,
	    .reserved_bytes = kept,
	    .accessible_bytes = kept,
	    .committed_bytes = committed,
	    .total_reserved_bytes = LENGTH,
	    .released_bytes = LENGTH - kept,
	    .released_committed_bytes = released_committed,
	});
}

static void
say_second(const char *function, char *range, size_t length)
{
	truth_site(&(struct truth_site){
	    .kind = "mremap",
	    .function = function,
	    .count = 1,
	    .live_count = 1,
	    .reserved_bytes = length,
	    .accessible_bytes = length,
	    .committed_bytes = truth_present(range, length),
	    .total_reserved_bytes = length,
	});
}

int
main(void)
{
	char *grown = grow(map_to_grow());
	char *target = map_to_replace();
	size_t replaced = truth_present(target, LENGTH);
	char *moved = move(map_to_move(), target);
	char *shrunk = map_to_shrink();
	size_t tail = truth_present(shrunk + LENGTH / 4, LENGTH - LENGTH / 4);
	char *kept, *kept_new, *cut;
	size_t cut_tail;

	shrink(shrunk);
	fail_to_grow(shrunk);
	kept = map_to_keep();
	kept_new = keep_old(kept);
	truth_touch(kept, PAGE, PAGE);
	cut = map_to_cut();
	cut_tail = truth_present(cut + LENGTH / 2, LENGTH / 2);
	/* onto a piece of the grown range: that piece is replaced */
	cut_and_move(cut, grown + LENGTH);

	say_first("map_to_grow", 0, 0, 0);
	say_first("map_to_replace", 0, 0, replaced);
	say_first("map_to_move", 0, 0, 0);
	say_first("map_to_shrink", LENGTH / 4, truth_present(shrunk, LENGTH / 4), tail);
	say_first("map_to_keep", LENGTH, truth_present(kept, LENGTH), 0);
	say_first("map_to_cut", 0, 0, cut_tail);
	truth_site(&(struct truth_site){
	    .kind = "mremap",
	    .function = "grow",
	    .count = 1,
	    .live_count = 1,
	    .reserved_bytes = LENGTH + LENGTH / 2,
	    .accessible_bytes = LENGTH + LENGTH / 2,
	    .committed_bytes = truth_present(grown, LENGTH) +
			       truth_present(grown + LENGTH + LENGTH / 2, LENGTH / 2),
	    .total_reserved_bytes = 2 * LENGTH,
	    .released_bytes = LENGTH / 2,
	});
	say_second("move", moved, LENGTH);
	say_second("keep_old", kept_new, LENGTH);
	say_second("cut_and_move", grown + LENGTH, LENGTH / 2);
	return truth_end("mremap_kinds");
}
