/*
 * resident.h: how many bytes of a range are resident.
 *
 * Running sums over a snapshot's runs, which are in address order and disjoint, so that any range
 * is answered in O(log n). Resident = present and not the zero page: what the kernel counts in RSS.
 */
#ifndef VMT_RESIDENT_H
#define VMT_RESIDENT_H

#include "format/chunk.h"
#include "tools/model/space/classes.h"

#include <stdbool.h>
#include <stddef.h>

struct vmt_resident {
	const struct vmt_run *runs; /* the caller's */
	size_t count;
	uint64_t (*before)[5]; /* resident, swapped, huge, hugetlb, shared bytes of all earlier
				* runs; count + 1
				*/
};

/* 0 or -ENOMEM. */
int vmt_resident_open(struct vmt_resident *resident, const struct vmt_run *runs, size_t count);
void vmt_resident_close(struct vmt_resident *resident);

/* Reserved is the range's length. */
struct vmt_amounts vmt_resident_range(const struct vmt_resident *resident, uint64_t start,
				      uint64_t end);

/* Whether there is a page, in RAM or swapped out, that is not the zero page. */
bool vmt_resident_has_page(const struct vmt_resident *resident, uint64_t address);

/* Bytes of the range that huge pages are behind. */
uint64_t vmt_resident_huge(const struct vmt_resident *resident, uint64_t start, uint64_t end);

#endif
