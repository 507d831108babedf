/*
 * retained.h: what malloc holds beside live blocks.
 *
 * Of glibc's arenas, in committed bytes; the three add up to the class malloc retained.
 *
 * - Overhead: what a live block takes beyond its own bytes: an 8-byte header, rounding to 16 bytes
 *   and to 32 at least; of a block that has a mapping of its own, the rest of its pages
 *   (malloc/malloc.c: request2size, MINSIZE). The first page of each arena counts here.
 *
 * - Free pages: whole pages between live blocks. malloc_trim gives them back (mtrim in malloc.c,
 *   which leaves a free chunk's first 48 bytes); the last chunk of a thread's arena stays.
 *
 * - Pinned: the free parts of pages that hold a live block, too.
 *
 * A site pins what of free pages lies between its live blocks and the live block before, and what
 * of their own pages is free below them.
 *
 * Exact where every block is recorded, but for freed blocks that thread caches hold (they count as
 * free, and malloc_trim leaves them) and for 16 bytes of a block where the allocator could not
 * split off a rest. From samples it is an estimate: hidden blocks are taken to lie evenly in the
 * memory around some samples, so a page has none of them with the probability exp(-density * (page
 * + block)).
 */
#ifndef VMT_RETAINED_H
#define VMT_RETAINED_H

#include "tools/model/attribute/regions.h"

struct vmt_retained {
	double overhead_bytes;
	double free_page_bytes;
};

/* After the regions have their classes. Adds to the sites what they pin (VMT_FIGURE_PINS). What is
 * neither overhead nor free pages is pinned. 0 or -ENOMEM. */
int vmt_retained_split(struct vmt_retained *retained, const struct vmt_regions *regions,
		       struct vmt_replay *replay, const struct vmt_resident *resident);

/* What a block of this size takes of an arena of glibc's. */
uint64_t vmt_retained_chunk_bytes(uint64_t size);

#endif
