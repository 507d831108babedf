/*
 * region_parts.h: what of a snapshot has each call site, class and file, beside live blocks?
 *
 * Regions of one site, one class and one file are one part. With what live blocks have, the parts
 * of a class add up to it: exactly where all blocks were recorded, else but for rounding. A site
 * whose regions are of several classes has a part in each. Paths point into the snapshot. Zero it
 * first, then clear. 0 or -ENOMEM.
 */
#ifndef VMT_REGION_PARTS_H
#define VMT_REGION_PARTS_H

#include "tools/model/attribute/regions.h"

struct vmt_region_part {
	const char *path; /* not NUL-terminated; NULL where no file is mapped */
	uint16_t path_bytes;
	uint32_t site; /* VMT_SITE_NONE: no call is known */
	uint8_t class;
	uint64_t rest[VMT_AMOUNTS];   /* bytes without those of blocks that were all recorded */
	double estimate[VMT_AMOUNTS]; /* of these, small blocks' own, from samples */
};

struct vmt_region_parts {
	struct vmt_region_part *items;
	size_t count;
	size_t room;
};

int vmt_region_parts_add(struct vmt_region_parts *parts, const struct vmt_region *region,
			 const uint64_t rest[VMT_AMOUNTS], const double estimate[VMT_AMOUNTS]);

/* After the last one: joins what has one site, class and file; in that order. */
void vmt_region_parts_join(struct vmt_region_parts *parts);

void vmt_region_parts_clear(struct vmt_region_parts *parts);

#endif
