#include "tools/render/diff_group_rows.h"

#include "tools/render/group_rows.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One call site of a row, of the report that the row's names are from. */
struct part {
	const struct vmt_site *site;
	struct vmt_rank_walk walk;
	uint64_t bytes;
};

/* A row, and what it shows. */
struct shown {
	struct vmt_diff_site row;
	struct vmt_rank_walk walk;
	bool of_b;
};

static int
compare_parts(const void *left, const void *right)
{
	const struct part *a = left;
	const struct part *b = right;

	return vmt_group_rows_compare(&a->walk, &b->walk);
}

static int
compare_shown(const void *left, const void *right)
{
	const struct shown *a = left;
	const struct shown *b = right;
	int order = strcmp(a->row.kind, b->row.kind);

	return order ? order : vmt_group_rows_compare(&a->walk, &b->walk);
}

static bool
is_of_b(const struct vmt_diff_site *row)
{
	for (size_t i = 0; i < row->member_count; i++)
		if (row->members[i].of_b)
			return true;
	return false;
}

/* Room for the parts of all rows is given: parts. How many there are. */
static size_t
collect_parts(const struct shown *shown, size_t callers, struct part *parts)
{
	size_t count = 0;

	for (size_t i = 0; i < shown->row.member_count; i++) {
		const struct vmt_diff_member *member = &shown->row.members[i];

		if (member->of_b != shown->of_b)
			continue;
		parts[count].site = member->site;
		parts[count].bytes = vmt_diff_weight(&shown->row, member->site, member->of_b);
		vmt_rank_walk_begin(&parts[count].walk, &member->site->stack, callers);
		count++;
	}
	qsort(parts, count, sizeof(*parts), compare_parts);
	return count;
}

/* What has most of the row's bytes names it. */
static void
choose_shown(struct shown *shown, size_t callers, struct part *parts)
{
	size_t count, end;
	const struct part *best = NULL;

	shown->of_b = is_of_b(&shown->row);
	count = collect_parts(shown, callers, parts);
	assert(count > 0);
	for (size_t i = 0; i < count; i = end) {
		uint64_t bytes = 0;

		for (end = i; end < count && compare_parts(&parts[i], &parts[end]) == 0; end++)
			bytes += parts[end].bytes;
		if (!best || bytes > shown->row.shown_bytes) {
			best = &parts[i];
			shown->row.shown_bytes = bytes;
		}
	}
	shown->row.shown = best->site;
	shown->walk = best->walk;
}

static void
add_figure(struct vmt_diff_figure *sum, const struct vmt_diff_figure *figure)
{
	sum->a += figure->a;
	sum->b += figure->b;
}

static void
add_known(struct vmt_diff_figure *sum, const struct vmt_diff_figure *figure)
{
	sum->a = vmt_diff_add_known(sum->a, figure->a);
	sum->b = vmt_diff_add_known(sum->b, figure->b);
}

/* Of two rows that show the same: found in both reports, or in one alone. */
static enum vmt_diff_match
join_matches(enum vmt_diff_match a, enum vmt_diff_match b)
{
	if (a == b)
		return a;
	if (a >= VMT_DIFF_NEW && b >= VMT_DIFF_NEW)
		return VMT_DIFF_EXACT;
	if (a < b)
		return a;
	return b;
}

static void
add_row(struct shown *sum, const struct shown *shown)
{
	struct vmt_diff_site *row = &sum->row;
	const struct vmt_diff_site *from = &shown->row;

	row->match = join_matches(row->match, from->match);
	add_figure(&row->count, &from->count);
	add_figure(&row->live_count, &from->live_count);
	add_figure(&row->reserved_bytes, &from->reserved_bytes);
	add_figure(&row->committed_bytes, &from->committed_bytes);
	add_figure(&row->swapped_bytes, &from->swapped_bytes);
	add_figure(&row->never_touched_bytes, &from->never_touched_bytes);
	add_figure(&row->hugetlb_bytes, &from->hugetlb_bytes);
	add_figure(&row->total_reserved_bytes, &from->total_reserved_bytes);
	add_figure(&row->released_bytes, &from->released_bytes);
	add_known(&row->end_count, &from->end_count);
	add_known(&row->end_bytes, &from->end_bytes);
	add_known(&row->temporary_count, &from->temporary_count);
	row->estimate |= from->estimate;
	row->error_bytes =
	    (uint64_t)llround(hypot((double)row->error_bytes, (double)from->error_bytes));
	row->member_count += from->member_count;
	if (shown->of_b && !sum->of_b) {
		row->shown = from->shown;
		row->shown_bytes = row->side_bytes = 0;
		sum->of_b = true;
	}
	if (shown->of_b == sum->of_b) {
		row->shown_bytes += from->shown_bytes;
		row->side_bytes += from->side_bytes;
	}
}

/* Members move with their rows. */
static void
merge_sorted(struct vmt_diff_rows *rows, struct shown *shown, size_t count)
{
	size_t used = 0;
	struct shown *sum = NULL;

	for (size_t i = 0; i < count; i++) {
		memcpy(rows->members + used, shown[i].row.members,
		       shown[i].row.member_count * sizeof(*rows->members));
		if (sum && compare_shown(sum, &shown[i]) == 0) {
			add_row(sum, &shown[i]);
		} else {
			if (sum)
				rows->sites[rows->count++] = sum->row;
			sum = &shown[i];
			sum->row.members = rows->members + used;
		}
		used += shown[i].row.member_count;
	}
	if (sum)
		rows->sites[rows->count++] = sum->row;
	vmt_diff_sort_sites(rows->sites, rows->count);
}

bool
vmt_diff_group_rows_merge(struct vmt_diff_rows *rows, const struct vmt_diff *diff, size_t callers)
{
	size_t all = diff->a->site_count + diff->b->site_count;
	struct shown *shown = calloc(diff->site_count + 1, sizeof(*shown));
	struct part *parts = calloc(all + 1, sizeof(*parts));
	bool done = false;

	rows->count = 0;
	rows->sites = calloc(diff->site_count + 1, sizeof(*rows->sites));
	rows->members = calloc(all + 1, sizeof(*rows->members));
	if (shown && parts && rows->sites && rows->members) {
		for (size_t i = 0; i < diff->site_count; i++) {
			shown[i].row = diff->sites[i];
			choose_shown(&shown[i], callers, parts);
		}
		qsort(shown, diff->site_count, sizeof(*shown), compare_shown);
		merge_sorted(rows, shown, diff->site_count);
		done = true;
	}
	free(shown);
	free(parts);
	return done;
}

void
vmt_diff_group_rows_free(struct vmt_diff_rows *rows)
{
	free(rows->sites);
	free(rows->members);
	*rows = (struct vmt_diff_rows){.count = 0};
}

bool
vmt_diff_group_rows_has_most(const struct vmt_diff_site *row)
{
	return row->shown_bytes >= row->side_bytes - row->side_bytes / 2;
}
