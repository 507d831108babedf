#include "tools/read/symbols/nested_ranges.h"

#include <assert.h>
#include <stdlib.h>

bool
vmt_nested_ranges_add(struct vmt_nested_ranges *ranges, struct vmt_range range)
{
	if (range.start == 0 || range.end <= range.start)
		return true;
	if (ranges->count == ranges->room) {
		size_t room = ranges->room ? 2 * ranges->room : 64;
		struct vmt_range *grown = reallocarray(ranges->items, room, sizeof(*grown));

		if (!grown)
			return false;
		ranges->items = grown;
		ranges->room = room;
	}
	assert(ranges->count < ranges->room);
	ranges->items[ranges->count++] = range;
	return true;
}

static int
compare_ranges(const void *left, const void *right)
{
	const struct vmt_range *a = left;
	const struct vmt_range *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	/* the narrower one later: it is met first when walking back */
	return a->end > b->end ? -1 : a->end < b->end;
}

void
vmt_nested_ranges_settle(struct vmt_nested_ranges *ranges)
{
	uint64_t furthest = 0;

	if (ranges->count)
		qsort(ranges->items, ranges->count, sizeof(*ranges->items), compare_ranges);
	for (size_t i = 0; i < ranges->count; i++) {
		if (ranges->items[i].end > furthest)
			furthest = ranges->items[i].end;
		assert(i == 0 || ranges->items[i - 1].start <= ranges->items[i].start);
		ranges->items[i].furthest = furthest;
	}
}

/* Among the first `count` ranges. */
static const struct vmt_range *
find_among(const struct vmt_nested_ranges *ranges, size_t count, uint64_t place)
{
	while (count-- > 0 && ranges->items[count].furthest > place)
		if (ranges->items[count].end > place)
			return &ranges->items[count];
	return NULL;
}

const struct vmt_range *
vmt_nested_ranges_find(const struct vmt_nested_ranges *ranges, uint64_t place)
{
	size_t low = 0;

	for (size_t high = ranges->count; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (ranges->items[middle].start <= place)
			low = middle + 1;
		else
			high = middle;
	}
	return find_among(ranges, low, place);
}

const struct vmt_range *
vmt_nested_ranges_around(const struct vmt_nested_ranges *ranges, const struct vmt_range *inner,
			 uint64_t place)
{
	assert(inner >= ranges->items && inner < ranges->items + ranges->count);
	return find_among(ranges, (size_t)(inner - ranges->items), place);
}
