#include "tools/model/report/history_draft.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FULL 255u

/* A range, and by what it is kept where there are too many. */
struct ranked {
	struct vmt_history_range range;
	uint64_t committed_bytes;
	bool is_left_out;
};

struct map {
	struct ranked *items; /* in address order */
	size_t count;
	size_t kept;
	uint64_t committed_bytes; /* of those that are kept */
};

static int
join_neighbours(struct map *map, const struct vmt_history_place *place)
{
	const struct vmt_regions *regions = place->regions;

	map->items = calloc(regions->count + 1, sizeof(*map->items));
	if (!map->items)
		return -ENOMEM;
	for (size_t i = 0; i < regions->count; i++) {
		const struct vmt_region *region = &regions->items[i];
		struct ranked *last = map->count ? &map->items[map->count - 1] : NULL;
		uint32_t site = region->site < place->sites ? region->site : VMT_SITE_NONE;

		if (!last || last->range.end != region->start ||
		    last->range.class != region->class || last->range.site != site) {
			last = &map->items[map->count++];
			last->range = (struct vmt_history_range){
			    .start = region->start, .class = region->class, .site = site};
		}
		last->range.end = region->end;
		last->committed_bytes += region->total.bytes[VMT_AMOUNT_COMMITTED];
	}
	map->kept = map->count;
	return 0;
}

static int
compare_sizes(const void *left, const void *right)
{
	const struct ranked *a = *(struct ranked *const *)left;
	const struct ranked *b = *(struct ranked *const *)right;
	uint64_t sizes[2] = {a->range.end - a->range.start, b->range.end - b->range.start};

	if (a->committed_bytes != b->committed_bytes)
		return a->committed_bytes > b->committed_bytes ? -1 : 1;
	if (sizes[0] != sizes[1])
		return sizes[0] > sizes[1] ? -1 : 1;
	return a->range.start < b->range.start ? -1 : a->range.start > b->range.start;
}

/* Those with most memory are kept. */
static int
leave_out(struct map *map, struct vmt_history_snapshot *snapshot, size_t most)
{
	struct ranked **order;

	if (map->count <= most)
		return 0;
	order = calloc(map->count, sizeof(struct ranked *));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < map->count; i++)
		order[i] = &map->items[i];
	qsort(order, map->count, sizeof(struct ranked *), compare_sizes);
	for (size_t i = most; i < map->count; i++) {
		order[i]->is_left_out = true;
		snapshot->left_out_ranges++;
		snapshot->left_out_bytes += order[i]->range.end - order[i]->range.start;
	}
	map->kept = most;
	free(order);
	return 0;
}

/* One each, and what is left by what is committed; never more than there are pages. */
static void
share_out(struct map *map, size_t cells, uint64_t page_bytes)
{
	double spare = (double)(cells - map->kept);

	for (size_t i = 0; i < map->count; i++)
		if (!map->items[i].is_left_out)
			map->committed_bytes += map->items[i].committed_bytes;
	for (size_t i = 0; i < map->count; i++) {
		struct vmt_history_range *range = &map->items[i].range;
		uint64_t pages = (range->end - range->start) / page_bytes;
		double more = map->committed_bytes
				  ? spare * ((double)map->items[i].committed_bytes /
					     (double)map->committed_bytes)
				  : 0;

		range->cells = 1 + (uint32_t)more;
		if (range->cells > pages && pages)
			range->cells = (uint32_t)pages;
	}
}

static uint8_t
share_of(uint64_t committed, uint64_t bytes)
{
	double share = (double)FULL * (double)committed / (double)bytes;

	if (!committed)
		return 0;
	return share < 1 ? 1 : (uint8_t)share;
}

/* Cell by cell; where pages are counted and not placed, all cells of a range are alike. */
static void
fill_range(const struct ranked *ranked, const struct vmt_resident *resident, bool coarse,
	   uint8_t *fill)
{
	const struct vmt_history_range *range = &ranked->range;
	uint64_t bytes = range->end - range->start;

	for (uint32_t i = 0; i < range->cells; i++) {
		uint64_t start = range->start + bytes / range->cells * i;
		uint64_t end = i + 1 == range->cells
				   ? range->end
				   : range->start + bytes / range->cells * (i + 1);
		struct vmt_amounts amounts = vmt_resident_range(resident, start, end);

		fill[i] = coarse ? share_of(ranked->committed_bytes, bytes)
				 : share_of(amounts.bytes[VMT_AMOUNT_COMMITTED], end - start);
	}
}

static int
store(const struct map *map, struct vmt_history_snapshot *snapshot,
      const struct vmt_resident *resident, bool coarse)
{
	size_t cells = 0;

	for (size_t i = 0; i < map->count; i++)
		cells += map->items[i].is_left_out ? 0 : map->items[i].range.cells;
	snapshot->ranges = calloc(map->kept + 1, sizeof(*snapshot->ranges));
	snapshot->fill = malloc(cells + 1);
	if (!snapshot->ranges || !snapshot->fill)
		return -ENOMEM;
	for (size_t i = 0; i < map->count; i++) {
		if (map->items[i].is_left_out)
			continue;
		fill_range(&map->items[i], resident, coarse, snapshot->fill + snapshot->cell_count);
		snapshot->cell_count += map->items[i].range.cells;
		snapshot->ranges[snapshot->range_count++] = map->items[i].range;
	}
	assert(snapshot->cell_count == cells && snapshot->range_count == map->kept);
	return 0;
}

int
vmt_history_map_cut(struct vmt_history_snapshot *snapshot, const struct vmt_history_place *place)
{
	struct map map = {0};
	int status = join_neighbours(&map, place);

	assert(place->cells > 1);
	if (!status)
		status = leave_out(&map, snapshot, place->cells / 2);
	if (!status) {
		share_out(&map, place->cells, place->page_bytes);
		status = store(&map, snapshot, place->resident, place->coarse);
	}
	free(map.items);
	return status;
}
