/*
 * nested_ranges.h: the innermost of many ranges around a place.
 *
 * Half-open ranges of addresses or of offsets, nested or not: added in any order, settled once,
 * then searched. Single-threaded; items are malloc'ed, and freed by whoever holds the struct.
 */
#ifndef VMT_NESTED_RANGES_H
#define VMT_NESTED_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_range {
	uint64_t start;
	uint64_t end;
	uint64_t furthest; /* largest end of this and all ranges before it: settled ones alone */
	uint32_t unit;	   /* what it belongs to, and the entry that it stands for: the caller's */
	uint64_t entry;
};

/* All zero is empty. */
struct vmt_nested_ranges {
	struct vmt_range *items;
	size_t count;
	size_t room;
};

/* An empty range, or one that begins at 0, is left out: sections that the linker threw away leave
 * such behind. False when there is no memory. */
bool vmt_nested_ranges_add(struct vmt_nested_ranges *ranges, struct vmt_range range);

/* Puts them in order: by start, of one start the wider first. */
void vmt_nested_ranges_settle(struct vmt_nested_ranges *ranges);

/* The range that covers the place and begins last, or NULL. */
const struct vmt_range *vmt_nested_ranges_find(const struct vmt_nested_ranges *ranges,
					       uint64_t place);

/* The next one out that covers the place, or NULL. */
const struct vmt_range *vmt_nested_ranges_around(const struct vmt_nested_ranges *ranges,
						 const struct vmt_range *inner, uint64_t place);

#endif
