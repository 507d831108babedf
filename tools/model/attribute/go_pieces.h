/*
 * go_pieces.h: cuts the regions of a Go heap by what its runtime uses them for.
 *
 * Each byte goes to one class, by the first list that has it: spans, free pages, released pages.
 * What none of them has stays "Go heap": address space that the heap has not grown into, or pages
 * that changed hands while the lists were read. Of a span of small objects, its first bytes are
 * taken for the slots that hold an object, and the rest for free ones: which slots these are is not
 * known, but a span that was used to its end has all its pages, and a new one is filled in order.
 *
 * Bytes, by the address: page by page, but for the slots. One thread at a time. 0 or -ENOMEM.
 */
#ifndef VMT_GO_PIECES_H
#define VMT_GO_PIECES_H

#include "tools/model/attribute/regions.h"
#include "tools/read/trace/go_heap_chunk.h"

/* What lies in the arenas of the heap that was read, and that nothing else tells the owner of, is
 * Go heap, as where the runtime's calls are not recorded. Whether there was any. */
bool vmt_go_pieces_claim(struct vmt_regions *regions, const struct vmt_go_heap *heap);

int vmt_go_pieces_cut(struct vmt_regions *regions, const struct vmt_go_heap *heap,
		      const struct vmt_resident *resident, const struct vmt_touched *touched);

#endif
