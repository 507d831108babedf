#include "tools/model/attribute/committers.h"

#include "tools/model/attribute/commit_sums.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define CHANCE_DEVIATIONS 2.0

/* The join under way. */
struct join {
	const struct vmt_committers_input *input;
	struct vmt_touch *touches; /* of resident pages alone, in address order */
	size_t touch_count;
	struct vmt_commit_sums sums;
};

void
vmt_committers_free(struct vmt_committers *committers)
{
	free(committers->cells);
	*committers = (struct vmt_committers){0};
}

static bool
is_resident(const struct vmt_run *run)
{
	return (run->kind & VMT_RUN_PRESENT) && !(run->kind & VMT_RUN_ZERO);
}

/* Appends what of a touch is resident; *run is the first run that may be. */
static void
cut_to_runs(const struct vmt_resident *resident, const struct vmt_touch *touch, size_t *run,
	    struct vmt_touch *result, size_t *count)
{
	while (*run < resident->count &&
	       resident->runs[*run].start + resident->runs[*run].bytes <= touch->start)
		(*run)++;
	for (size_t i = *run; i < resident->count && resident->runs[i].start < touch->end; i++) {
		const struct vmt_run *found = &resident->runs[i];
		struct vmt_touch piece = *touch;

		if (!is_resident(found))
			continue;
		if (piece.start < found->start)
			piece.start = found->start;
		if (piece.end > found->start + found->bytes)
			piece.end = found->start + found->bytes;
		result[(*count)++] = piece;
	}
}

/* A touch is cut at most where a run begins. */
static int
find_touches(struct join *join)
{
	const struct vmt_resident *resident = join->input->resident;
	struct vmt_touch *all;
	size_t count;
	size_t run = 0;
	const struct vmt_touchers *touchers = join->input->replay->touchers;
	int status = join->input->seen ? vmt_touchers_list_seen(touchers, &all, &count)
				       : vmt_touchers_list(touchers, &all, &count);

	if (status)
		return status;
	if (join->input->coarse) {
		join->touches = all;
		join->touch_count = count;
		return 0;
	}
	join->touches = calloc(count + resident->count + 1, sizeof(*join->touches));
	for (size_t i = 0; join->touches && i < count; i++)
		cut_to_runs(resident, &all[i], &run, join->touches, &join->touch_count);
	free(all);
	return join->touches ? 0 : -ENOMEM;
}

static size_t
touch_after(const struct join *join, uint64_t address)
{
	size_t low = 0;
	size_t high = join->touch_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (join->touches[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A place, and how often what is added to it counts. */
struct place {
	uint8_t class;
	uint32_t site;
	double times;
	bool estimate;
};

static int
add_resident(struct join *join, const struct place *place, double bytes)
{
	const struct vmt_commit_sum sum = {.class = place->class,
					   .site = place->site,
					   .toucher = VMT_SITE_NONE,
					   .bytes = place->times * bytes,
					   .estimate = place->estimate};

	return bytes == 0 ? 0 : vmt_commit_sums_add(&join->sums, &sum);
}

static int
add_touch(struct join *join, const struct place *place, const struct vmt_touch *touch,
	  uint64_t bytes)
{
	double period = (double)touch->period;
	double page = ldexp(1, touch->page_shift);
	double stood_for = place->times * (double)bytes * period;
	const struct vmt_commit_sum sum = {.class = place->class,
					   .site = place->site,
					   .toucher = touch->toucher,
					   .serial = touch->serial,
					   .bytes = stood_for,
					   .variance = stood_for * (period - 1) * page,
					   .samples = copysign((double)bytes / page, place->times),
					   .estimate = place->estimate || touch->period > 1};

	return vmt_commit_sums_add(&join->sums, &sum);
}

/* What is touched of a range, to the place. */
static int
add_touches(struct join *join, const struct place *place, uint64_t start, uint64_t end)
{
	int status = 0;

	for (size_t i = touch_after(join, start); i < join->touch_count && !status; i++) {
		const struct vmt_touch *touch = &join->touches[i];
		uint64_t low = touch->start > start ? touch->start : start;
		uint64_t high = touch->end < end ? touch->end : end;

		if (low >= high)
			break;
		status = add_touch(join, place, touch, high - low);
	}
	return status;
}

static struct place
place_of(const struct vmt_region *region)
{
	return (struct place){.class = region->class, .site = region->site, .times = 1};
}

/* Blocks come off again: add_block. */
static int
add_region(struct join *join, const struct vmt_region *region)
{
	struct place place = place_of(region);
	int status = add_resident(join, &place, (double)region->total.bytes[VMT_AMOUNT_COMMITTED]);

	return status ? status : add_touches(join, &place, region->start, region->end);
}

/* The block's part of a region is its own place's, no longer the region's. */
static int
move_to_block(struct join *join, const struct place *block, const struct vmt_region *region,
	      uint64_t start, uint64_t end)
{
	struct place from = place_of(region);
	struct vmt_amounts amounts = vmt_resident_range(join->input->resident, start, end);
	double bytes = (double)amounts.bytes[VMT_AMOUNT_COMMITTED];
	int status;

	if (bytes == 0)
		return 0;
	from.times = -block->times;
	from.estimate = block->estimate;
	status = add_resident(join, block, bytes);
	if (!status)
		status = add_resident(join, &from, bytes);
	if (!status)
		status = add_touches(join, block, start, end);
	return status ? status : add_touches(join, &from, start, end);
}

static int
add_block(struct join *join, const struct vmt_block *block)
{
	const struct vmt_regions *regions = join->input->regions;
	const struct place place = {.class = VMT_CLASS_MALLOC_LIVE,
				    .site = block->site,
				    .times = vmt_replay_weight(join->input->replay, block->size),
				    .estimate =
					!vmt_replay_is_exact(join->input->replay, block->size)};
	uint64_t end = block->address + block->size;
	int status = 0;

	for (size_t i = vmt_regions_after(regions, block->address);
	     i < regions->count && regions->items[i].start < end && !status; i++) {
		const struct vmt_region *region = &regions->items[i];
		uint64_t low = region->start > block->address ? region->start : block->address;
		uint64_t high = region->end < end ? region->end : end;

		status = move_to_block(join, &place, region, low, high);
	}
	return status;
}

static int
add_all(struct join *join)
{
	const struct vmt_regions *regions = join->input->regions;
	struct vmt_block block;
	size_t cursor = 0;
	int status = 0;

	for (size_t i = 0; i < regions->count && !status; i++)
		status = add_region(join, &regions->items[i]);
	while (!status && vmt_blocks_walk(join->input->replay->blocks, &cursor, &block))
		status = add_block(join, &block);
	return status;
}

/* The place's sums end with its own, where it has one. */
static size_t
place_end(const struct vmt_commit_sums *sums, size_t first)
{
	size_t end = first;

	while (end < sums->count && sums->items[end].class == sums->items[first].class &&
	       sums->items[end].site == sums->items[first].site)
		end++;
	return end;
}

static double
resident_of(const struct vmt_commit_sums *sums, size_t end)
{
	const struct vmt_commit_sum *last = &sums->items[end - 1];

	return last->toucher == VMT_SITE_NONE && last->bytes > 0 ? last->bytes : 0;
}

static void
put(struct vmt_committers *committers, const struct vmt_committed_cell *cell)
{
	if (cell->bytes)
		committers->cells[committers->count++] = *cell;
}

/* How much of a place its touchers made resident; the rest is more than they can have. */
static uint64_t
known_part(double stood_for, double variance, uint64_t bytes)
{
	double most = stood_for + CHANCE_DEVIATIONS * sqrt(variance > 0 ? variance : 0);

	if (stood_for <= 0)
		return 0;
	return most >= (double)bytes ? bytes : (uint64_t)llround(stood_for);
}

/* Those of one serial are equally late. */
static size_t
serial_end(const struct vmt_commit_sum *items, size_t count, size_t first, double *bytes)
{
	size_t end = first;

	for (*bytes = 0; end < count && items[end].serial == items[first].serial; end++)
		*bytes += items[end].bytes;
	return end;
}

/* What stands for more than is resident has in part been given back, or is so by chance: the latest
 * touches stay. */
static void
keep_latest(struct vmt_commit_sum *items, size_t count, double resident)
{
	double left = resident;

	for (size_t i = 0; i < count;) {
		double bytes;
		size_t end = serial_end(items, count, i, &bytes);
		double part = bytes > left ? left / bytes : 1;

		for (left -= bytes * part; i < end; i++) {
			items[i].samples *= part;
			items[i].bytes *= part;
		}
	}
}

/* Shares `bytes` of a place out to its touchers, and the rest to none. Each has what all up to it
 * have, rounded, less what those before it have: so shares add up. */
static void
share_joined(struct vmt_committers *committers, const struct vmt_commit_sum *items, size_t count,
	     uint64_t bytes, double scale)
{
	struct vmt_committed_cell cell = {.site = items[0].site, .class = items[0].class};
	double stood_for = 0;
	double variance = 0;
	double passed = 0;
	uint64_t given = 0;
	uint64_t known;

	for (size_t i = 0; i < count; i++) {
		cell.estimate |= items[i].estimate;
		if (items[i].toucher == VMT_SITE_NONE || items[i].bytes <= 0)
			continue;
		stood_for += items[i].bytes;
		variance += items[i].variance;
	}
	known = known_part(stood_for * scale, variance * scale * scale, bytes);
	for (size_t i = 0; i < count; i++) {
		uint64_t upto;

		if (items[i].toucher == VMT_SITE_NONE || items[i].bytes <= 0)
			continue;
		passed += items[i].bytes;
		upto = (uint64_t)llround((double)known * (passed / stood_for));
		cell.bytes = upto - given;
		cell.toucher = items[i].toucher;
		cell.samples = items[i].samples;
		put(committers, &cell);
		given = upto;
	}
	assert(given <= bytes);
	cell.bytes = bytes - given;
	cell.toucher = VMT_SITE_NONE;
	cell.samples = 0;
	put(committers, &cell);
}

/* [first, end) is one place. */
static void
share_out(struct vmt_committers *committers, struct vmt_commit_sums *sums, size_t first, size_t end,
	  uint64_t bytes, double scale)
{
	bool has_own = sums->items[end - 1].toucher == VMT_SITE_NONE;

	if (scale > 0)
		keep_latest(&sums->items[first], end - first - has_own, (double)bytes / scale);
	end = vmt_commit_sums_join(sums, first, end);
	share_joined(committers, &sums->items[first], end - first, bytes, scale);
}

/* The end of a class's sums, and what its places have together. */
static size_t
class_end(const struct vmt_commit_sums *sums, size_t first, double *resident)
{
	size_t end = first;

	*resident = 0;
	while (end < sums->count && sums->items[end].class == sums->items[first].class) {
		end = place_end(sums, end);
		*resident += resident_of(sums, end);
	}
	return end;
}

/* Shares a class's committed bytes out to its places. Where all blocks are recorded each place gets
 * just what it has; else places are estimates, and made to add up. */
static void
share_class(struct vmt_committers *committers, struct vmt_commit_sums *sums, size_t first,
	    size_t end, double resident, uint64_t committed)
{
	double scale = resident > 0 ? (double)committed / resident : 0;
	double passed = 0;
	uint64_t given = 0;

	for (size_t at = first; at < end;) {
		size_t next = place_end(sums, at);
		uint64_t upto;

		passed += resident_of(sums, next);
		upto = passed >= resident ? committed : (uint64_t)llround(passed * scale);
		share_out(committers, sums, at, next, upto - given, scale);
		given = upto;
		at = next;
	}
	assert(given == committed || resident <= 0);
}

static int
make_cells(struct vmt_committers *committers, struct join *join)
{
	struct vmt_commit_sums *sums = &join->sums;
	bool shared[VMT_CLASSES] = {false};
	size_t first = 0;

	/* Each sum is a cell, and each place may have one more. */
	committers->cells = calloc(2 * sums->count + VMT_CLASSES, sizeof(*committers->cells));
	if (!committers->cells)
		return -ENOMEM;
	while (first < sums->count) {
		uint8_t class = sums->items[first].class;
		double resident;
		size_t end = class_end(sums, first, &resident);

		shared[class] = resident > 0;
		if (shared[class])
			share_class(committers, sums, first, end, resident,
				    join->input->classes[class].bytes[VMT_AMOUNT_COMMITTED]);
		first = end;
	}
	for (unsigned class = 0; class < VMT_CLASSES; class ++) {
		const struct vmt_committed_cell none = {
		    .class = (uint8_t) class,
		    .site = VMT_SITE_NONE,
		    .toucher = VMT_SITE_NONE,
		    .bytes = join->input->classes[class].bytes[VMT_AMOUNT_COMMITTED]};

		if (!shared[class])
			put(committers, &none);
	}
	return 0;
}

int
vmt_committers_join(struct vmt_committers *committers, const struct vmt_committers_input *input)
{
	struct join join = {.input = input};
	int status;

	*committers = (struct vmt_committers){0};
	if (!input->seen && vmt_touchers_is_empty(input->replay->touchers))
		return 0;
	status = find_touches(&join);
	if (!status)
		status = add_all(&join);
	if (!status) {
		vmt_commit_sums_sort(&join.sums);
		status = make_cells(committers, &join);
	}
	vmt_commit_sums_clear(&join.sums);
	free(join.touches);
	return status;
}
