/*
 * committers.h: whose touches made the pages of a snapshot resident?
 *
 * Joins a snapshot's regions and live blocks with the pages that sampled faults named (touchers.h).
 * A place is what one call site has in one class. Its touchers share its resident bytes by what
 * their samples stand for, as far as these are still there: a released page has no sample left.
 *
 * What no sample explains has no toucher: in a place without samples, and where the samples of a
 * place stand for clearly less than is resident. Such pages came without a fault of their own
 * (MAP_POPULATE, mlock, huge pages that the kernel made, neighbours of a fault in a file), or from
 * before the sampling; the call that reserved them is the best that is known. With period 1 this is
 * exact, page by page. Else it is an estimate. The samples of a place stand for W bytes with a
 * variance of V = sum of p (p - 1) s^2 over its samples, where one stands for p pages of s bytes
 * and each page is sampled with probability 1/p (Horvitz and Thompson 1952); what is resident
 * beyond W + 2 sqrt(V) is more than chance.
 *
 * A sampled block stands for others around it, which few samples of faults hit as well. So all
 * samples near it count, each as far as its period reaches, by how much of what is resident there
 * the block is. What blocks do not draw from a region is left to it.
 *
 * Where they stand for more than is resident, pages may have been given back unseen in between (by
 * the C library itself, or by raw system calls): the latest touches count, as far as that goes.
 *
 * Cells add up to the classes' committed bytes, and so to RSS. 0 or -ENOMEM.
 */
#ifndef VMT_COMMITTERS_H
#define VMT_COMMITTERS_H

#include "tools/model/attribute/touch_places.h"

/* Resident bytes of a place that one toucher is credited with. */
struct vmt_committed_cell {
	uint64_t bytes;
	double samples;	  /* that tell so; parts of a page count as parts */
	uint32_t site;	  /* who reserved; VMT_SITE_NONE where no call is known */
	uint32_t toucher; /* index into replay->touch_sites; VMT_SITE_NONE: no sample tells */
	uint8_t class;
	bool estimate;
};

/* By class, site and toucher, who has none last; none is empty. */
struct vmt_committers {
	struct vmt_committed_cell *cells;
	size_t count;
};

/* Nothing, where no fault was sampled. */
int vmt_committers_join(struct vmt_committers *committers,
			const struct vmt_committers_input *input);
void vmt_committers_free(struct vmt_committers *committers);

#endif
