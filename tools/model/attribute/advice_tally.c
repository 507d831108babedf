#include "tools/model/attribute/advice_tally.h"

#include "base/assert.h"

/* The extent's pages that are mapped as they were. */
static void
tally_extent(const struct vmt_extent *extent, const struct vmt_regions *regions,
	     struct vmt_site_entry *entry, const struct vmt_resident *resident)
{
	for (size_t i = vmt_regions_after(regions, extent->start); i < regions->count; i++) {
		const struct vmt_region *region = &regions->items[i];
		uint64_t start = extent->start > region->start ? extent->start : region->start;
		uint64_t end = extent->end < region->end ? extent->end : region->end;
		struct vmt_amounts amounts;

		if (region->start >= extent->end)
			break;
		if (region->call > extent->call)
			continue;
		vmt_assert(start < end);
		amounts = vmt_resident_range(resident, start, end);
		entry->exact[VMT_FIGURE_RESERVED] += amounts.bytes[VMT_AMOUNT_RESERVED];
		entry->exact[VMT_FIGURE_COMMITTED] += amounts.bytes[VMT_AMOUNT_COMMITTED];
		entry->exact[VMT_FIGURE_SWAPPED] += amounts.bytes[VMT_AMOUNT_SWAPPED];
		entry->exact[VMT_FIGURE_HUGE] += vmt_resident_huge(resident, start, end);
	}
}

void
vmt_advice_tally_add(const struct vmt_advised_pages *advised, const struct vmt_regions *regions,
		     struct vmt_sites *sites, const struct vmt_resident *resident)
{
	for (unsigned int i = 0; i < VMT_ADVISED_PAGES_SORTS; i++) {
		const struct vmt_extent *extent = vmt_advised_pages_next(advised, i, 0);

		for (; extent; extent = vmt_advised_pages_next(advised, i, extent->end))
			tally_extent(extent, regions, vmt_sites_get(sites, extent->site), resident);
	}
}
