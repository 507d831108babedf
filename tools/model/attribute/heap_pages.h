/*
 * heap_pages.h: pages of allocators, and the live blocks' bytes in them.
 *
 * A block owns its bytes, resident or not; what is left of the pages of an arena is retained.
 * Arenas are known by evidence, as the C library maps them without passing through a hook.
 *
 * - [heap] is the main arena.
 *
 * - Live blocks: open memory, or a range from mmap, that holds them is an allocator's.
 *
 * - glibc's shape: a heap of malloc/arena.c starts at a multiple of HEAP_MAX_SIZE (64 MiB on 64-bit
 *   machines), is accessible at first and PROT_NONE up to the next multiple.
 *
 * - Another allocator: where small blocks lie in places that are neither, its other open memory
 *   (bookkeeping) is taken to be the allocator's, too.
 *
 * In sampled mode small blocks stand for others (replay.h): what they own is an estimate for all
 * arenas together, never more than the arenas have.
 */
#ifndef VMT_HEAP_PAGES_H
#define VMT_HEAP_PAGES_H

#include "tools/model/attribute/region_parts.h"

#define VMT_HEAP_MAX_BYTES (UINT64_C(64) << 20)

/* Gives every live block its bytes in regions, and its site the figures of now. */
void vmt_heap_pages_own(struct vmt_regions *regions, struct vmt_replay *replay,
			const struct vmt_resident *resident);

/* Closes the open regions that are arenas, and makes malloc retained of mapped ranges with blocks.
 * `unseen`: the process may have mapped anything without a word of it; then [heap] without a block
 * stays open, and a shape must fit. */
void vmt_heap_pages_find_arenas(struct vmt_regions *regions, bool unseen);

/* Closes what an allocator other than glibc's, which is known, mapped before the trace began. */
void vmt_heap_pages_find_early(struct vmt_regions *regions);

/* After that: whether an allocator other than glibc's was seen (by its blocks, or it is known), and
 * closes its open regions. */
bool vmt_heap_pages_find_foreign(struct vmt_regions *regions, bool known);

/* Takes the blocks' part out of the regions' classes: adds up all regions into classes, and scales
 * the sites' estimates to what the arenas have. Gives the sites of mapped ranges what blocks left,
 * and lists what is left by site, class and file. 0 or -ENOMEM. */
int vmt_heap_pages_tally(struct vmt_regions *regions, struct vmt_replay *replay,
			 struct vmt_amounts classes[VMT_CLASSES], struct vmt_region_parts *parts);

#endif
