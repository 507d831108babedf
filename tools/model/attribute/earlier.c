#include "tools/model/attribute/earlier.h"

#include <stdbool.h>
#include <sys/mman.h>

/* runtime/malloc.go: heapArenaBytes, what the heap grows by (pallocChunkBytes), and the first hint
 * where its place is not chosen at random. */
#define ARENA_BYTES (UINT64_C(64) << 20)
#define GROWTH_BYTES (UINT64_C(4) << 20)
#if defined(__aarch64__)
#define FIRST_ARENA UINT64_C(0x4000000000)
#else
#define FIRST_ARENA UINT64_C(0xc000000000)
#endif

static void
settle(struct vmt_region *region, enum vmt_class_id class)
{
	region->class = class;
	region->open = false;
}

static bool
is_plain(const struct vmt_region *region)
{
	return !region->mapping->inode && !region->mapping->shared && !region->heap;
}

/* Whether regions [first, last), one behind the other, are arenas. */
static bool
are_arenas(const struct vmt_regions *regions, size_t first, size_t last)
{
	uint64_t start = regions->items[first].start;
	bool is_used = false;

	if (start == FIRST_ARENA)
		return true;
	if (start % ARENA_BYTES || regions->items[last - 1].end % ARENA_BYTES)
		return false;
	for (size_t i = first; i < last; i++) {
		if (regions->items[i].start % GROWTH_BYTES)
			return false;
		is_used |= regions->items[i].mapping->protection != PROT_NONE;
	}
	return is_used;
}

void
vmt_earlier_find_go(struct vmt_regions *regions)
{
	size_t last;

	for (size_t first = 0; first < regions->count; first = last) {
		last = first + 1;
		if (!is_plain(&regions->items[first]))
			continue;
		while (last < regions->count && is_plain(&regions->items[last]) &&
		       regions->items[last].start == regions->items[last - 1].end)
			last++;
		if (!are_arenas(regions, first, last))
			continue;
		for (size_t i = first; i < last; i++)
			if (regions->items[i].open)
				settle(&regions->items[i], VMT_CLASS_GO_HEAP);
	}
}

void
vmt_earlier_settle(struct vmt_regions *regions, enum vmt_earlier earlier)
{
	for (size_t i = 0; i < regions->count; i++) {
		struct vmt_region *region = &regions->items[i];

		if (region->open && (region->present || earlier == VMT_EARLIER_SNAPSHOT))
			settle(region, region->heap ? VMT_CLASS_HEAP : VMT_CLASS_ANONYMOUS);
	}
}
