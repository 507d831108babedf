#include "tools/model/attribute/committers.h"

#include "tools/model/attribute/touch_places.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define CHANCE_DEVIATIONS 2.0

void
vmt_committers_free(struct vmt_committers *committers)
{
	free(committers->cells);
	*committers = (struct vmt_committers){0};
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

		left = part < 1 ? 0 : left - bytes; /* by rounding it could be below 0 */
		for (; i < end; i++) {
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
make_cells(struct vmt_committers *committers, struct vmt_commit_sums *sums,
	   const struct vmt_committers_input *input)
{
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
				    input->classes[class].bytes[VMT_AMOUNT_COMMITTED]);
		first = end;
	}
	for (unsigned class = 0; class < VMT_CLASSES; class ++) {
		const struct vmt_committed_cell none = {
		    .class = (uint8_t) class,
		    .site = VMT_SITE_NONE,
		    .toucher = VMT_SITE_NONE,
		    .bytes = input->classes[class].bytes[VMT_AMOUNT_COMMITTED]};

		if (!shared[class])
			put(committers, &none);
	}
	return 0;
}

/* Sampled blocks may draw more of a toucher's samples than there are: a place that is left with
 * less than none has no cell. */
static int
fit_samples(struct vmt_committers *committers, const double *samples, size_t touchers)
{
	double *told = calloc(touchers + 1, sizeof(*told));

	if (!told)
		return -ENOMEM;
	for (size_t i = 0; i < committers->count; i++)
		if (committers->cells[i].toucher != VMT_SITE_NONE)
			told[committers->cells[i].toucher] += committers->cells[i].samples;
	for (size_t i = 0; i < committers->count; i++) {
		struct vmt_committed_cell *cell = &committers->cells[i];

		if (cell->toucher != VMT_SITE_NONE && told[cell->toucher] > samples[cell->toucher])
			cell->samples *= samples[cell->toucher] / told[cell->toucher];
	}
	free(told);
	return 0;
}

int
vmt_committers_join(struct vmt_committers *committers, const struct vmt_committers_input *input)
{
	struct vmt_touch_places places = {0};
	int status;

	*committers = (struct vmt_committers){0};
	if (!input->seen && vmt_touchers_is_empty(input->replay->touchers))
		return 0;
	status = vmt_touch_places_add_up(&places, input);
	if (!status)
		status = make_cells(committers, &places.sums, input);
	if (!status && places.samples)
		status = fit_samples(committers, places.samples,
				     vmt_sites_count(input->replay->touch_sites));
	vmt_touch_places_clear(&places);
	return status;
}
