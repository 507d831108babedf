/*
 * largest_mappings.h: which mappings have most in RAM?
 *
 * The first few, largest first: for a reader who has no call site to go by. Mappings point into the
 * snapshot. Bytes.
 */
#ifndef VMT_LARGEST_MAPPINGS_H
#define VMT_LARGEST_MAPPINGS_H

#include "tools/model/attribute/regions.h"

#define VMT_LARGEST_MAPPINGS_MOST 64u

struct vmt_largest_mapping {
	const struct vmt_mapping *mapping;
	uint8_t class; /* enum vmt_class_id: of its largest region */
	uint64_t class_bytes;
	struct vmt_amounts total;
};

struct vmt_largest_mappings {
	struct vmt_largest_mapping items[VMT_LARGEST_MAPPINGS_MOST];
	size_t count;
};

/* When every region has its class. */
void vmt_largest_mappings_find(struct vmt_largest_mappings *largest,
			       const struct vmt_regions *regions);

#endif
