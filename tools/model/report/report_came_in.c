#include "tools/model/report/report_draft.h"

#include <assert.h>
#include <stdlib.h>

/* What a row of sites has that is there since one snapshot. */
struct arrival {
	size_t row;
	uint64_t bytes;
	uint32_t number; /* of the snapshot, in draft->seen, from 1 */
	bool estimate;
};

static int
compare(const void *left, const void *right)
{
	const struct arrival *a = left;
	const struct arrival *b = right;

	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

static void
take(struct vmt_report_draft *draft, const struct arrival *arrival)
{
	struct vmt_came_in *came_in = &draft->report.sites[arrival->row].came_in;
	const struct vmt_seen_snapshot *by = &draft->seen[arrival->number - 1];

	if (arrival->bytes <= came_in->bytes)
		return;
	*came_in = (struct vmt_came_in){.bytes = arrival->bytes,
					.estimate = arrival->estimate,
					.has_after = arrival->number > 1,
					.by = by->index,
					.by_ns = vmt_trace_time_ns(draft->trace, by->time)};
	if (came_in->has_after) {
		came_in->after = by[-1].index;
		came_in->after_ns = vmt_trace_time_ns(draft->trace, by[-1].time);
	}
}

static size_t
find_arrivals(const struct vmt_report_draft *draft, struct arrival *arrivals)
{
	const struct vmt_committers *since = &draft->attribution.since;
	size_t count = 0;

	for (size_t i = 0; i < since->count; i++) {
		const struct vmt_committed_cell *cell = &since->cells[i];
		size_t row;

		if (cell->site == VMT_SITE_NONE || cell->toucher == VMT_SITE_NONE)
			continue;
		row = draft->site_rows[vmt_sites_merged_into(draft->replay->sites, cell->site)];
		assert(cell->toucher > 0 && cell->toucher <= draft->seen_count);
		if (row != SIZE_MAX)
			arrivals[count++] =
			    (struct arrival){row, cell->bytes, cell->toucher, cell->estimate};
	}
	return count;
}

int
vmt_report_came_in_fill(struct vmt_report_draft *draft)
{
	struct arrival *arrivals = calloc(draft->attribution.since.count + 1, sizeof(*arrivals));
	size_t count;

	if (!arrivals)
		return -ENOMEM;
	count = find_arrivals(draft, arrivals);
	qsort(arrivals, count, sizeof(*arrivals), compare);
	for (size_t i = 0; i < count; i++) {
		struct arrival *next = &arrivals[i + 1];

		if (i + 1 < count && compare(&arrivals[i], next) == 0) {
			next->bytes += arrivals[i].bytes;
			next->estimate |= arrivals[i].estimate;
		} else {
			take(draft, &arrivals[i]);
		}
	}
	free(arrivals);
	return 0;
}
