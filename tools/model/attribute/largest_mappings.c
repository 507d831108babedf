#include "tools/model/attribute/largest_mappings.h"

#include <string.h>

static uint64_t
committed(const struct vmt_largest_mapping *mapping)
{
	return mapping->total.bytes[VMT_AMOUNT_COMMITTED];
}

/* Of equals, the one at the lower address stays before. */
static void
insert(struct vmt_largest_mappings *largest, const struct vmt_largest_mapping *fresh)
{
	size_t at = largest->count;

	while (at > 0 && committed(&largest->items[at - 1]) < committed(fresh))
		at--;
	if (at == VMT_LARGEST_MAPPINGS_MOST || committed(fresh) == 0)
		return;
	if (largest->count < VMT_LARGEST_MAPPINGS_MOST)
		largest->count++;
	memmove(&largest->items[at + 1], &largest->items[at],
		(largest->count - 1 - at) * sizeof(*fresh));
	largest->items[at] = *fresh;
}

static void
add_region(struct vmt_largest_mapping *whole, const struct vmt_region *region)
{
	uint64_t bytes = region->total.bytes[VMT_AMOUNT_COMMITTED];

	for (int i = 0; i < VMT_AMOUNTS; i++)
		whole->total.bytes[i] += region->total.bytes[i];
	if (bytes <= whole->class_bytes && whole->class_bytes > 0)
		return;
	whole->class = region->class;
	whole->class_bytes = bytes;
}

void
vmt_largest_mappings_find(struct vmt_largest_mappings *largest, const struct vmt_regions *regions)
{
	struct vmt_largest_mapping whole = {.mapping = NULL};

	largest->count = 0;
	for (size_t i = 0; i < regions->count; i++) {
		const struct vmt_region *region = &regions->items[i];

		if (whole.mapping != region->mapping) {
			if (whole.mapping)
				insert(largest, &whole);
			whole = (struct vmt_largest_mapping){.mapping = region->mapping};
		}
		add_region(&whole, region);
	}
	if (whole.mapping)
		insert(largest, &whole);
}
