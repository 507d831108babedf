#include "tools/page/view_history.h"

#include "tools/page/view_numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MALLOC_RANGE (-2) /* in place of a class: docs/view-format.md */

typedef uint64_t amount_of(const struct vmt_history_amounts *amounts);

static enum vmt_class_id
class_id(const char *name)
{
	unsigned id = 0;

	while (name && id < VMT_CLASSES &&
	       strcmp(name, vmt_classes_name((enum vmt_class_id)id)) != 0)
		id++;
	return name ? (enum vmt_class_id)id : VMT_CLASSES;
}

int
vmt_view_history_class(const struct vmt_view_history *view, const char *name)
{
	enum vmt_class_id id = class_id(name);

	return id < VMT_CLASSES ? view->numbers[id] : -1;
}

/* -- the history of a report without one ------------------------------------------------------- */

static void
fill_point(struct vmt_history_point *point, const struct vmt_report *report)
{
	point->time_ns = report->snapshot.time_ns;
	point->index = report->snapshot.index;
	point->rss_bytes = report->snapshot.rss_bytes;
	point->virtual_bytes = report->snapshot.virtual_bytes;
	point->swap_bytes = report->snapshot.swap_bytes;
	for (size_t i = 0; i < report->class_count; i++) {
		const struct vmt_class *from = &report->classes[i];
		enum vmt_class_id id = class_id(from->name);

		if (id < VMT_CLASSES)
			point->classes[id] = (struct vmt_history_amounts){
			    from->reserved_bytes, from->accessible_bytes,    from->committed_bytes,
			    from->swapped_bytes,  from->never_touched_bytes, from->hugetlb_bytes};
	}
}

static void
fill_sites(struct vmt_history_snapshot *snapshot, const struct vmt_report *report)
{
	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *from = &report->sites[i];

		snapshot->sites[snapshot->site_count++] = (struct vmt_history_site){
		    (uint32_t)i,
		    from->live_count,
		    {from->reserved_bytes, from->accessible_bytes, from->committed_bytes,
		     from->swapped_bytes, from->never_touched_bytes, from->hugetlb_bytes}};
	}
	for (size_t i = 0; i < report->part_count; i++) {
		enum vmt_class_id id = class_id(report->parts[i].class);

		if (id == VMT_CLASSES || report->parts[i].site < report->site_count)
			continue;
		snapshot->rest_committed_bytes[id] += report->parts[i].committed_bytes;
		snapshot->rest_reserved_bytes[id] += report->parts[i].reserved_bytes;
	}
}

static int
make_own(struct vmt_view_history *view)
{
	const struct vmt_report *report = view->report;
	struct vmt_history *own = &view->own;

	own->points = calloc(1, sizeof(*own->points));
	own->snapshots = calloc(1, sizeof(*own->snapshots));
	if (!own->points || !own->snapshots)
		return -ENOMEM;
	own->snapshots->sites = calloc(report->site_count + 1, sizeof(*own->snapshots->sites));
	if (!own->snapshots->sites)
		return -ENOMEM;
	own->point_count = own->snapshot_count = 1;
	fill_point(own->points, report);
	fill_sites(own->snapshots, report);
	own->snapshots->has_sites = true;
	own->snapshots->is_reports = true;
	view->history = own;
	return 0;
}

static void
find_classes(struct vmt_view_history *view)
{
	const struct vmt_history *history = view->history;
	int count = 0;

	for (size_t p = 0; p < history->point_count; p++)
		for (unsigned id = 0; id < VMT_CLASSES; id++) {
			const struct vmt_history_amounts *has = &history->points[p].classes[id];

			view->is_used[id] |= has->reserved_bytes || has->committed_bytes ||
					     has->swapped_bytes || has->hugetlb_bytes;
		}
	for (size_t i = 0; i < view->report->site_count; i++) {
		enum vmt_class_id id = class_id(view->report->sites[i].class);

		if (id < VMT_CLASSES)
			view->is_used[id] = true;
	}
	for (unsigned id = 0; id < VMT_CLASSES; id++)
		view->numbers[id] = view->is_used[id] ? count++ : -1;
}

int
vmt_view_history_begin(struct vmt_view_history *view, const struct vmt_report *report)
{
	int result = 0;

	*view = (struct vmt_view_history){.report = report, .history = &report->history};
	if (!report->history.is_built || report->history.snapshot_count == 0)
		result = make_own(view);
	if (result == 0)
		find_classes(view);
	return result;
}

void
vmt_view_history_free(struct vmt_view_history *view)
{
	if (view->own.snapshots)
		free(view->own.snapshots->sites);
	free(view->own.snapshots);
	free(view->own.points);
}

/* -- columns ----------------------------------------------------------------------------------- */

static uint64_t
reserved_of(const struct vmt_history_amounts *amounts)
{
	return amounts->reserved_bytes;
}

static uint64_t
accessible_of(const struct vmt_history_amounts *amounts)
{
	return amounts->accessible_bytes;
}

static uint64_t
committed_of(const struct vmt_history_amounts *amounts)
{
	return amounts->committed_bytes;
}

static uint64_t
swapped_of(const struct vmt_history_amounts *amounts)
{
	return amounts->swapped_bytes;
}

static uint64_t
never_touched_of(const struct vmt_history_amounts *amounts)
{
	return amounts->never_touched_bytes;
}

static uint64_t
hugetlb_of(const struct vmt_history_amounts *amounts)
{
	return amounts->hugetlb_bytes;
}

static const struct {
	const char *name;
	amount_of *get;
} columns[] = {
    {"reserved", reserved_of}, {"accessible", accessible_of},	    {"committed", committed_of},
    {"swapped", swapped_of},   {"never_touched", never_touched_of}, {"hugetlb", hugetlb_of},
};

#define COLUMNS (sizeof(columns) / sizeof(*columns))

static void
write_classes(const struct vmt_view_history *view, const struct vmt_history_point *point,
	      struct vmt_emitter *emitter)
{
	vmt_emitter_object(emitter, "classes");
	for (size_t c = 0; c < COLUMNS; c++) {
		vmt_emitter_array(emitter, columns[c].name);
		for (unsigned id = 0; id < VMT_CLASSES; id++)
			if (view->is_used[id])
				vmt_view_number(emitter, NULL, columns[c].get(&point->classes[id]));
		vmt_emitter_array_end(emitter);
	}
	vmt_emitter_object_end(emitter);
}

static void
write_rest(const struct vmt_view_history *view, const struct vmt_history_snapshot *snapshot,
	   struct vmt_emitter *emitter)
{
	vmt_emitter_object(emitter, "rest");
	vmt_emitter_array(emitter, "committed");
	for (unsigned id = 0; id < VMT_CLASSES; id++)
		if (view->is_used[id])
			vmt_view_number(emitter, NULL, snapshot->rest_committed_bytes[id]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "reserved");
	for (unsigned id = 0; id < VMT_CLASSES; id++)
		if (view->is_used[id])
			vmt_view_number(emitter, NULL, snapshot->rest_reserved_bytes[id]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

/* A row's figures at one snapshot: sums of its sites'. */
struct row_figures {
	struct vmt_history_amounts amounts;
	uint64_t live_count;
	bool is_there;
};

static void
add_figures(struct row_figures *row, const struct vmt_history_site *site)
{
	row->is_there = true;
	row->live_count += site->live_count;
	row->amounts.reserved_bytes += site->amounts.reserved_bytes;
	row->amounts.accessible_bytes += site->amounts.accessible_bytes;
	row->amounts.committed_bytes += site->amounts.committed_bytes;
	row->amounts.swapped_bytes += site->amounts.swapped_bytes;
	row->amounts.never_touched_bytes += site->amounts.never_touched_bytes;
	row->amounts.hugetlb_bytes += site->amounts.hugetlb_bytes;
}

static void
write_row_columns(const struct row_figures *rows, size_t count, struct vmt_emitter *emitter)
{
	vmt_emitter_object(emitter, "sites");
	vmt_emitter_array(emitter, "site");
	for (size_t i = 0; i < count; i++)
		if (rows[i].is_there)
			vmt_emitter_u64(emitter, NULL, i);
	vmt_emitter_array_end(emitter);
	for (size_t c = 0; c < COLUMNS; c++) {
		if (columns[c].get == accessible_of || columns[c].get == hugetlb_of)
			continue;
		vmt_emitter_array(emitter, columns[c].name);
		for (size_t i = 0; i < count; i++)
			if (rows[i].is_there)
				vmt_view_number(emitter, NULL, columns[c].get(&rows[i].amounts));
		vmt_emitter_array_end(emitter);
	}
	vmt_emitter_array(emitter, "live");
	for (size_t i = 0; i < count; i++)
		if (rows[i].is_there)
			vmt_view_number(emitter, NULL, rows[i].live_count);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

static int
write_rows(const struct vmt_history_snapshot *snapshot, const struct vmt_view_sites *sites,
	   struct vmt_emitter *emitter)
{
	struct row_figures *rows = calloc(sites->row_count + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->site_count; i++)
		add_figures(&rows[sites->row_of[snapshot->sites[i].site]], &snapshot->sites[i]);
	write_row_columns(rows, sites->row_count, emitter);
	free(rows);
	return 0;
}

/* malloc's live blocks lie among what it holds besides: such a range is of both classes. */
static int
range_class(const struct vmt_view_history *view, const struct vmt_history_range *range)
{
	return range->class == VMT_CLASS_MALLOC_RETAINED || range->class == VMT_CLASS_MALLOC_LIVE
		   ? MALLOC_RANGE
		   : view->numbers[range->class];
}

static void
write_map(const struct vmt_view_history *view, const struct vmt_history_snapshot *snapshot,
	  const struct vmt_view_sites *sites, struct vmt_emitter *emitter)
{
	if (snapshot->range_count == 0) {
		vmt_emitter_string(emitter, "map", NULL);
		return;
	}
	vmt_emitter_object(emitter, "map");
	vmt_emitter_array(emitter, "start");
	for (size_t i = 0; i < snapshot->range_count; i++)
		vmt_emitter_address(emitter, NULL, snapshot->ranges[i].start);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "bytes");
	for (size_t i = 0; i < snapshot->range_count; i++)
		vmt_view_number(emitter, NULL, snapshot->ranges[i].end - snapshot->ranges[i].start);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "class");
	for (size_t i = 0; i < snapshot->range_count; i++)
		vmt_emitter_i64(emitter, NULL, range_class(view, &snapshot->ranges[i]));
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "site");
	for (size_t i = 0; i < snapshot->range_count; i++)
		vmt_emitter_i64(emitter, NULL,
				snapshot->ranges[i].site == UINT32_MAX
				    ? -1
				    : (int64_t)sites->row_of[snapshot->ranges[i].site]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "cells");
	for (size_t i = 0; i < snapshot->range_count; i++)
		vmt_emitter_u64(emitter, NULL, snapshot->ranges[i].cells);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "fill");
	for (size_t i = 0; i < snapshot->cell_count; i++)
		vmt_emitter_u64(emitter, NULL, snapshot->fill[i]);
	vmt_emitter_array_end(emitter);
	vmt_view_number(emitter, "left_out_ranges", snapshot->left_out_ranges);
	vmt_view_number(emitter, "left_out_bytes", snapshot->left_out_bytes);
	vmt_emitter_object_end(emitter);
}

static void
write_marks(const struct vmt_history_snapshot *snapshot, struct vmt_emitter *emitter)
{
	vmt_emitter_array(emitter, "marks");
	if (snapshot->is_peak)
		vmt_emitter_string(emitter, NULL, "peak");
	if (snapshot->is_end)
		vmt_emitter_string(emitter, NULL, "end");
	if (snapshot->is_reports)
		vmt_emitter_string(emitter, NULL, "report");
	vmt_emitter_array_end(emitter);
}

static int
write_snapshot(const struct vmt_view_history *view, const struct vmt_history_snapshot *snapshot,
	       const struct vmt_view_sites *sites, struct vmt_emitter *emitter)
{
	const struct vmt_history_point *point = &view->history->points[snapshot->point];
	int result;

	vmt_emitter_object(emitter, NULL);
	vmt_emitter_i64(emitter, "time_ns", point->time_ns);
	vmt_emitter_u64(emitter, "index", point->index);
	vmt_view_number(emitter, "rss", point->rss_bytes);
	vmt_view_number(emitter, "virtual", point->virtual_bytes);
	vmt_view_number(emitter, "swap", point->swap_bytes);
	write_marks(snapshot, emitter);
	write_classes(view, point, emitter);
	vmt_emitter_bool(emitter, "has_sites", snapshot->has_sites);
	result = write_rows(snapshot, sites, emitter);
	write_rest(view, snapshot, emitter);
	write_map(view, snapshot, sites, emitter);
	vmt_emitter_object_end(emitter);
	return result;
}

static void
write_line(const struct vmt_view_history *view, struct vmt_emitter *emitter)
{
	const struct vmt_history *history = view->history;

	vmt_emitter_object(emitter, "class_line");
	vmt_emitter_array(emitter, "time_ns");
	for (size_t p = 0; p < history->point_count; p++)
		vmt_emitter_i64(emitter, NULL, history->points[p].time_ns);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "committed");
	for (size_t p = 0; p < history->point_count; p++) {
		vmt_emitter_array(emitter, NULL);
		for (unsigned id = 0; id < VMT_CLASSES; id++)
			if (view->is_used[id])
				vmt_view_number(emitter, NULL,
						history->points[p].classes[id].committed_bytes);
		vmt_emitter_array_end(emitter);
	}
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

/* -1: none. */
static int64_t
advice_row(const struct vmt_view_history *view, const struct vmt_history_mark *mark)
{
	size_t row = mark->advice;

	if (row != SIZE_MAX && view->advice_rows)
		row = view->advice_rows[row];
	return row == SIZE_MAX ? -1 : (int64_t)row;
}

static void
write_events(const struct vmt_view_history *view, struct vmt_emitter *emitter)
{
	const struct vmt_history_mark *marks = view->history->marks;
	size_t count = view->history->mark_count;

#define COLUMN(name, write)                                                                        \
	do {                                                                                       \
		vmt_emitter_array(emitter, name);                                                  \
		for (size_t i = 0; i < count; i++)                                                 \
			write;                                                                     \
		vmt_emitter_array_end(emitter);                                                    \
	} while (0)

	vmt_emitter_object(emitter, "events");
	COLUMN("first_ns", vmt_emitter_i64(emitter, NULL, marks[i].first_ns));
	COLUMN("last_ns", vmt_emitter_i64(emitter, NULL, marks[i].last_ns));
	COLUMN("call", vmt_emitter_string(emitter, NULL, marks[i].call));
	COLUMN("calls", vmt_view_number(emitter, NULL, marks[i].calls));
	COLUMN("bytes", vmt_view_number(emitter, NULL, marks[i].bytes));
	COLUMN("in_ram", vmt_view_number(emitter, NULL, marks[i].in_ram_bytes));
	COLUMN("taken", vmt_view_known(emitter, NULL, marks[i].taken_bytes));
	COLUMN("estimate", vmt_emitter_u64(emitter, NULL, marks[i].estimate));
	COLUMN("advice", vmt_emitter_i64(emitter, NULL, advice_row(view, &marks[i])));
#undef COLUMN
	vmt_emitter_object_end(emitter);
}

int
vmt_view_history_write(const struct vmt_view_history *view, const struct vmt_view_sites *sites,
		       struct vmt_emitter *emitter)
{
	const struct vmt_history *history = view->history;
	int result = 0;

	vmt_emitter_array(emitter, "classes");
	for (unsigned id = 0; id < VMT_CLASSES; id++)
		if (view->is_used[id])
			vmt_emitter_string(emitter, NULL, vmt_classes_name((enum vmt_class_id)id));
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "snapshots");
	for (size_t i = 0; i < history->snapshot_count && result == 0; i++)
		result = write_snapshot(view, &history->snapshots[i], sites, emitter);
	vmt_emitter_array_end(emitter);
	vmt_emitter_u64(emitter, "report_snapshot", history->reports);
	write_line(view, emitter);
	write_events(view, emitter);
	return result;
}
