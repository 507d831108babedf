/*
 * advised.h: what became of the pages that advice was given for?
 *
 * Keeps for each page the newest advice of either sort: what gives pages back (MADV_DONTNEED,
 * MADV_FREE, MADV_PAGEOUT ...), what is about huge pages (MADV_HUGEPAGE, MADV_NOHUGEPAGE,
 * MADV_COLLAPSE). At a snapshot a page counts for its advice when it is still mapped by the call
 * that had it mapped then. So an advice's pages that are committed now were touched again, or, with
 * MADV_FREE, may not have been taken yet. Pages, 0 or -ENOMEM. One thread at a time.
 */
#ifndef VMT_ADVISED_H
#define VMT_ADVISED_H

#include "tools/model/pieces.h"
#include "tools/model/sites.h"
#include "tools/model/space.h"

struct vmt_advised;

struct vmt_advised *vmt_advised_new(void);
void vmt_advised_free(struct vmt_advised *advised);

/* The extent's call is the number of the newest acquisition, its site the advice's. */
int vmt_advised_note(struct vmt_advised *advised, uint16_t advice, const struct vmt_extent *extent);

/* Of bytes that an advice took out of these pieces, what lies in shared mappings: it left the
 * process, and stays in its file or segment, of which MADV_REMOVE alone takes it. */
uint64_t vmt_advised_stayed(uint16_t advice, const struct vmt_extents *pieces, uint64_t taken);

/* The range was released. */
int vmt_advised_forget(struct vmt_advised *advised, uint64_t start, uint64_t end);

/* Adds to the advice's sites: reserved, committed, swapped and huge bytes of now. */
void vmt_advised_tally(const struct vmt_advised *advised, const struct vmt_pieces *pieces,
		       struct vmt_sites *sites, const struct vmt_resident *resident);

#endif
