#include "tools/model/attribute/touch_places.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define MOST_NEAR 16u /* touches looked at on each side of a sampled block */

/* The work under way. */
struct join {
	const struct vmt_committers_input *input;
	struct vmt_touch *touches; /* of resident pages alone, in address order */
	size_t touch_count;
	uint64_t most_reach; /* of a touch */
	struct vmt_touch_places *places;
};

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

/* How far a touch's sample tells of the pages around it: it stands for `period` pages. */
static uint64_t
reach_of(const struct vmt_touch *touch)
{
	uint64_t reach;

	return __builtin_mul_overflow(touch->period - 1, UINT64_C(1) << touch->page_shift, &reach)
		   ? UINT64_MAX
		   : reach;
}

static int
set_reach(struct join *join)
{
	for (size_t i = 0; join->touches && i < join->touch_count; i++)
		if (reach_of(&join->touches[i]) > join->most_reach)
			join->most_reach = reach_of(&join->touches[i]);
	return join->touches ? 0 : -ENOMEM;
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
		return set_reach(join);
	}
	join->touches = calloc(count + resident->count + 1, sizeof(*join->touches));
	for (size_t i = 0; join->touches && i < count; i++)
		cut_to_runs(resident, &all[i], &run, join->touches, &join->touch_count);
	free(all);
	return set_reach(join);
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

	return bytes == 0 ? 0 : vmt_commit_sums_add(&join->places->sums, &sum);
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
					   .samples = place->times * ((double)bytes / page),
					   .estimate = place->estimate || touch->period > 1};

	return vmt_commit_sums_add(&join->places->sums, &sum);
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

/* Blocks come off again: add_block. The tracer's own pages are touched by the tracer, in whatever
 * call of the program: that is none of the caller's. */
static int
add_region(struct join *join, const struct vmt_region *region)
{
	struct place place = place_of(region);
	int status = add_resident(join, &place, (double)region->total.bytes[VMT_AMOUNT_COMMITTED]);

	if (status || region->class == VMT_CLASS_TRACER)
		return status;
	return add_touches(join, &place, region->start, region->end);
}

/* What is drawn from a region to one of its blocks. */
struct draw {
	struct join *join;
	const struct vmt_region *region;
	const struct place *block;
	uint64_t start; /* of the block, in the region */
	uint64_t end;
	double bytes; /* resident */
};

static int
draw_touch(const struct draw *draw, const struct vmt_touch *touch, uint64_t bytes, double times)
{
	struct place to = *draw->block;
	struct place from = place_of(draw->region);
	int status;

	to.times *= times;
	from.times = -to.times;
	from.estimate = to.estimate;
	status = add_touch(draw->join, &to, touch, bytes);
	return status ? status : add_touch(draw->join, &from, touch, bytes);
}

/* A touch counts by how much of all that is resident within its reach the block is. */
static int
draw_near(const struct draw *draw, const struct vmt_touch *touch)
{
	uint64_t reach = draw->block->estimate ? reach_of(touch) : 0;
	uint64_t low =
	    draw->start - draw->region->start > reach ? draw->start - reach : draw->region->start;
	uint64_t high =
	    draw->region->end - draw->end > reach ? draw->end + reach : draw->region->end;
	struct vmt_amounts amounts;

	if (touch->start >= high || touch->end <= low)
		return 0;
	amounts = vmt_resident_range(draw->join->input->resident, low, high);
	low = touch->start > low ? touch->start : low;
	high = touch->end < high ? touch->end : high;
	if (amounts.bytes[VMT_AMOUNT_COMMITTED] == 0)
		return 0;
	return draw_touch(draw, touch, high - low,
			  draw->bytes / (double)amounts.bytes[VMT_AMOUNT_COMMITTED]);
}

/* All touches of a block that is known, those around one that stands for others. */
static int
draw_touches(const struct draw *draw)
{
	const struct join *join = draw->join;
	uint64_t reach = draw->block->estimate ? join->most_reach : 0;
	size_t first = touch_after(join, draw->start);
	size_t most = first + MOST_NEAR;
	int status = 0;

	for (size_t i = first; i < join->touch_count && !status; i++) {
		const struct vmt_touch *touch = &join->touches[i];

		if (touch->start >= draw->end && (i >= most || touch->start - draw->end >= reach))
			break;
		status = draw_near(draw, touch);
	}
	for (size_t i = first; i > 0 && first - i < MOST_NEAR && !status; i--) {
		const struct vmt_touch *touch = &join->touches[i - 1];

		if (draw->start - touch->end >= reach)
			break;
		status = draw_near(draw, touch);
	}
	return status;
}

/* The block's part of a region is its own place's, no longer the region's. */
static int
move_to_block(struct join *join, const struct place *block, const struct vmt_region *region,
	      uint64_t start, uint64_t end)
{
	struct place from = place_of(region);
	struct vmt_amounts amounts = vmt_resident_range(join->input->resident, start, end);
	double bytes = (double)amounts.bytes[VMT_AMOUNT_COMMITTED];
	const struct draw draw = {.join = join,
				  .region = region,
				  .block = block,
				  .start = start,
				  .end = end,
				  .bytes = bytes};
	int status;

	if (bytes == 0)
		return 0;
	from.times = -block->times;
	from.estimate = block->estimate;
	status = add_resident(join, block, bytes);
	if (!status)
		status = add_resident(join, &from, bytes);
	return status ? status : draw_touches(&draw);
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

/* Of each toucher, those of resident pages. */
static int
count_samples(struct join *join)
{
	size_t touchers = vmt_sites_count(join->input->replay->touch_sites);
	double *samples = calloc(touchers + 1, sizeof(*samples));

	for (size_t i = 0; samples && i < join->touch_count; i++) {
		const struct vmt_touch *touch = &join->touches[i];

		if (touch->toucher < touchers)
			samples[touch->toucher] +=
			    (double)(touch->end - touch->start) / ldexp(1, touch->page_shift);
	}
	join->places->samples = samples;
	return samples ? 0 : -ENOMEM;
}

int
vmt_touch_places_add_up(struct vmt_touch_places *places, const struct vmt_committers_input *input)
{
	struct join join = {.input = input, .places = places};
	int status = find_touches(&join);

	if (!status)
		status = add_all(&join);
	if (!status && !input->seen)
		status = count_samples(&join);
	if (!status)
		vmt_commit_sums_sort(&places->sums);
	free(join.touches);
	return status;
}

void
vmt_touch_places_clear(struct vmt_touch_places *places)
{
	vmt_commit_sums_clear(&places->sums);
	free(places->samples);
	*places = (struct vmt_touch_places){0};
}
