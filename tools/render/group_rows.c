#include "tools/render/group_rows.h"

#include "format/chunk.h"
#include "tools/render/rank.h"

#include <stdlib.h>
#include <string.h>

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_texts(const char *a, const char *b)
{
	return a == b ? 0 : strcmp(a ? a : "", b ? b : "");
}

/* 0 where both print the same. */
int
vmt_group_rows_compare_frames(const struct vmt_frame *a, const struct vmt_frame *b)
{
	int order = compare_texts(a->function, b->function);

	if (order == 0)
		order = compare_texts(a->module, b->module);
	if (order == 0)
		order = compare_texts(a->file, b->file);
	if (order == 0)
		order = compare_numbers(a->line, b->line);
	if (order == 0 && !a->function)
		order = a->module ? compare_numbers(a->module_offset, b->module_offset)
				  : compare_numbers(a->address, b->address);
	return order;
}

int
vmt_group_rows_compare(const struct vmt_rank_walk *a, const struct vmt_rank_walk *b)
{
	struct vmt_rank_walk walks[2] = {*a, *b};
	const struct vmt_frame *frames[2];
	int order = 0;

	do {
		frames[0] = vmt_rank_walk_next(&walks[0]);
		frames[1] = vmt_rank_walk_next(&walks[1]);
		if (!frames[0] || !frames[1])
			return (frames[0] != NULL) - (frames[1] != NULL);
		order = walks[0].skipped - walks[1].skipped;
		if (order == 0)
			order = vmt_group_rows_compare_frames(frames[0], frames[1]);
	} while (order == 0);
	return order;
}

/* A site, and which of its frames are shown. */
struct shown {
	const struct vmt_site *site;
	struct vmt_rank_walk walk;
	bool by_class;
};

static int
compare_shown(const void *left, const void *right)
{
	const struct shown *a = left;
	const struct shown *b = right;
	int order = strcmp(a->site->kind, b->site->kind);

	if (order == 0 && a->by_class)
		order = compare_texts(a->site->class, b->site->class);
	return order ? order : vmt_group_rows_compare(&a->walk, &b->walk);
}

static struct shown
show(const struct vmt_site *site, size_t callers)
{
	struct shown shown = {.site = site, .by_class = callers == 0};

	vmt_rank_walk_begin(&shown.walk, &site->stack, callers);
	return shown;
}

bool
vmt_group_rows_is_same(const struct vmt_site *a, const struct vmt_site *b, size_t callers)
{
	struct shown left = show(a, callers);
	struct shown right = show(b, callers);

	return compare_shown(&left, &right) == 0;
}

/* A sum of which a part is not known is not known. */
static uint64_t
add_known(uint64_t sum, uint64_t part)
{
	return sum == VMT_FIGURE_UNKNOWN || part == VMT_FIGURE_UNKNOWN ? VMT_FIGURE_UNKNOWN
								       : sum + part;
}

void
vmt_group_rows_add(struct vmt_site *row, const struct vmt_site *site)
{
	row->count += site->count;
	row->live_count += site->live_count;
	row->reserved_bytes += site->reserved_bytes;
	row->accessible_bytes += site->accessible_bytes;
	row->committed_bytes += site->committed_bytes;
	row->swapped_bytes += site->swapped_bytes;
	row->never_touched_bytes += site->never_touched_bytes;
	row->hugetlb_bytes += site->hugetlb_bytes;
	row->total_reserved_bytes += site->total_reserved_bytes;
	row->released_bytes += site->released_bytes;
	row->released_committed_bytes += site->released_committed_bytes;
	row->pins_bytes += site->pins_bytes;
	row->grown_bytes += site->grown_bytes;
	row->since_requested_bytes += site->since_requested_bytes;
	row->since_released_bytes += site->since_released_bytes;
	row->missed_requested_bytes += site->missed_requested_bytes;
	row->end_bytes += site->end_bytes;
	row->end_count = add_known(row->end_count, site->end_count);
	row->temporary_count = add_known(row->temporary_count, site->temporary_count);
	row->estimate |= site->estimate;
	row->released_committed_is_estimate |= site->released_committed_is_estimate;
	if (site->stack_id < row->stack_id)
		row->stack_id = site->stack_id;
}

static size_t
merge_sorted(const struct shown *shown, size_t count, struct vmt_site *rows)
{
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (i > 0 && compare_shown(&shown[i - 1], &shown[i]) == 0)
			vmt_group_rows_add(&rows[used - 1], shown[i].site);
		else
			rows[used++] = *shown[i].site;
	}
	return used;
}

struct vmt_site *
vmt_group_rows_merge(const struct vmt_report *report, size_t callers, size_t *count)
{
	struct vmt_site *rows = calloc(report->site_count + 1, sizeof(*rows));
	struct shown *shown = calloc(report->site_count + 1, sizeof(*shown));

	*count = 0;
	if (!rows || !shown || report->site_count == 0) {
		free(rows);
		free(shown);
		return NULL;
	}
	for (size_t i = 0; i < report->site_count; i++)
		shown[i] = show(&report->sites[i], callers);
	qsort(shown, report->site_count, sizeof(*shown), compare_shown);
	*count = merge_sorted(shown, report->site_count, rows);
	free(shown);
	return rows;
}
