/*
 * advised_pages.h: the newest advice that each page was given.
 *
 * Keeps for each page the newest advice of either sort: what gives pages back (MADV_DONTNEED,
 * MADV_FREE, MADV_PAGEOUT ...), what is about huge pages (MADV_HUGEPAGE, MADV_NOHUGEPAGE,
 * MADV_COLLAPSE). advice_tally.h joins them with a snapshot. Pages, 0 or -ENOMEM. One thread at a
 * time.
 */
#ifndef VMT_ADVISED_PAGES_H
#define VMT_ADVISED_PAGES_H

#include "tools/model/space/space.h"

/* What gives pages back, and what is about huge pages. */
#define VMT_ADVISED_PAGES_SORTS 2u
#define VMT_ADVISED_PAGES_HUGE 1u /* the latter */

struct vmt_advised_pages;

struct vmt_advised_pages *vmt_advised_pages_new(void);
void vmt_advised_pages_free(struct vmt_advised_pages *advised);

/* The extent's call is the number of the newest acquisition, its site the advice's. */
int vmt_advised_pages_note(struct vmt_advised_pages *advised, uint16_t advice,
			   const struct vmt_extent *extent);

/* Of bytes that an advice took out of these pieces, what lies in mappings of a kind: in proportion.
 */
uint64_t vmt_advised_pages_part(const struct vmt_extents *pieces, enum vmt_extent_kind kind,
				uint64_t taken);

/* Of bytes that an advice took out of these pieces, what lies in shared mappings: it left the
 * process, and stays in its file or segment, of which MADV_REMOVE alone takes it. */
uint64_t vmt_advised_pages_stayed(uint16_t advice, const struct vmt_extents *pieces,
				  uint64_t taken);

/* The range was released. */
int vmt_advised_pages_forget(struct vmt_advised_pages *advised, uint64_t start, uint64_t end);

/* The first extent of a sort that ends after address; NULL when there is none. */
const struct vmt_extent *vmt_advised_pages_next(const struct vmt_advised_pages *advised,
						unsigned int sort, uint64_t address);

#endif
