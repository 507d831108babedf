/*
 * advice_tally.h: what became of the pages that advice was given for.
 *
 * A page counts for its newest advice when it is still mapped by the call that had it mapped then:
 * so an advice's pages that are committed now were touched again, or, with MADV_FREE, may not have
 * been taken yet. One thread at a time.
 */
#ifndef VMT_ADVICE_TALLY_H
#define VMT_ADVICE_TALLY_H

#include "tools/model/attribute/regions.h"
#include "tools/model/replay/advised_pages.h"

/* Adds to the advice's sites: reserved, committed, swapped and huge bytes of now. */
void vmt_advice_tally_add(const struct vmt_advised_pages *advised,
			  const struct vmt_regions *regions, struct vmt_sites *sites,
			  const struct vmt_resident *resident);

#endif
