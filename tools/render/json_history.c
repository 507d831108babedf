#include "tools/render/json_history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
print_amounts(struct vmt_emitter *emitter, const struct vmt_history_amounts *amounts)
{
	vmt_emitter_u64(emitter, "reserved_bytes", amounts->reserved_bytes);
	vmt_emitter_u64(emitter, "accessible_bytes", amounts->accessible_bytes);
	vmt_emitter_u64(emitter, "committed_bytes", amounts->committed_bytes);
	vmt_emitter_u64(emitter, "swapped_bytes", amounts->swapped_bytes);
	vmt_emitter_u64(emitter, "never_touched_bytes", amounts->never_touched_bytes);
	vmt_emitter_u64(emitter, "hugetlb_bytes", amounts->hugetlb_bytes);
}

static void
print_point(struct vmt_emitter *emitter, const struct vmt_history_point *point)
{
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_u64(emitter, "index", point->index);
	vmt_emitter_i64(emitter, "time_ns", point->time_ns);
	vmt_emitter_u64(emitter, "rss_bytes", point->rss_bytes);
	vmt_emitter_u64(emitter, "virtual_bytes", point->virtual_bytes);
	vmt_emitter_u64(emitter, "swap_bytes", point->swap_bytes);
	vmt_emitter_array(emitter, "classes");
	for (int i = 0; i < VMT_CLASSES; i++) {
		const struct vmt_history_amounts *amounts = &point->classes[i];

		if (!amounts->reserved_bytes && !amounts->committed_bytes &&
		    !amounts->swapped_bytes)
			continue;
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "name", vmt_classes_name((enum vmt_class_id)i));
		print_amounts(emitter, amounts);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

static void
print_rest(struct vmt_emitter *emitter, const struct vmt_history_snapshot *snapshot)
{
	vmt_emitter_array(emitter, "no_site");
	for (int i = 0; i < VMT_CLASSES; i++) {
		if (!snapshot->rest_reserved_bytes[i] && !snapshot->rest_committed_bytes[i])
			continue;
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "class", vmt_classes_name((enum vmt_class_id)i));
		vmt_emitter_u64(emitter, "reserved_bytes", snapshot->rest_reserved_bytes[i]);
		vmt_emitter_u64(emitter, "committed_bytes", snapshot->rest_committed_bytes[i]);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

/* positions: of the report's sites, among those printed; SIZE_MAX: it is not. */
static void
print_sites(struct vmt_emitter *emitter, const struct vmt_history_snapshot *snapshot,
	    const size_t *positions)
{
	vmt_emitter_array(emitter, "sites");
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct vmt_history_site *site = &snapshot->sites[i];

		if (positions[site->site] == SIZE_MAX)
			continue;
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_u64(emitter, "site", positions[site->site]);
		vmt_emitter_u64(emitter, "live_count", site->live_count);
		print_amounts(emitter, &site->amounts);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_snapshot(struct vmt_emitter *emitter, const struct vmt_history *history,
	       const struct vmt_history_snapshot *snapshot, const size_t *positions)
{
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_u64(emitter, "index", history->points[snapshot->point].index);
	vmt_emitter_bool(emitter, "is_peak", snapshot->is_peak);
	vmt_emitter_bool(emitter, "is_end", snapshot->is_end);
	vmt_emitter_bool(emitter, "is_reports", snapshot->is_reports);
	if (snapshot->has_sites) {
		print_sites(emitter, snapshot, positions);
		print_rest(emitter, snapshot);
	} else {
		vmt_emitter_string(emitter, "sites", NULL);
		vmt_emitter_string(emitter, "no_site", NULL);
	}
	vmt_emitter_object_end(emitter);
}

/* Those that are shown are copies of the report's. */
static bool
is_same(const struct vmt_site *copy, const struct vmt_site *site)
{
	return copy->stack.frames == site->stack.frames && copy->stack_id == site->stack_id &&
	       strcmp(copy->kind, site->kind) == 0;
}

/* Where each of the report's sites was printed; SIZE_MAX: nowhere. */
static size_t *
find_positions(const struct vmt_json_history *wanted)
{
	const struct vmt_report *report = wanted->report;
	const struct vmt_report *shown = wanted->shown;
	size_t *positions = malloc((report->site_count + 1) * sizeof(*positions));
	size_t *printed = malloc((shown->site_count + 1) * sizeof(*printed));
	size_t next = 0;

	for (size_t i = 0; printed && i < shown->site_count; i++)
		printed[i] = SIZE_MAX;
	for (size_t i = 0; printed && i < wanted->count; i++)
		printed[wanted->rows[i] - shown->sites] = i;
	for (size_t i = 0; positions && printed && i < report->site_count; i++) {
		bool is_shown =
		    next < shown->site_count && is_same(&shown->sites[next], &report->sites[i]);

		positions[i] = is_shown ? printed[next] : SIZE_MAX;
		next += is_shown;
	}
	if (!printed) {
		free(positions);
		positions = NULL;
	}
	free(printed);
	return positions;
}

static void
print_marks(struct vmt_emitter *emitter, const struct vmt_history *history)
{
	vmt_emitter_array(emitter, "marks");
	for (size_t i = 0; i < history->mark_count; i++) {
		const struct vmt_history_mark *mark = &history->marks[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_i64(emitter, "first_ns", mark->first_ns);
		vmt_emitter_i64(emitter, "last_ns", mark->last_ns);
		vmt_emitter_string(emitter, "call", mark->call);
		vmt_emitter_u64(emitter, "calls", mark->calls);
		vmt_emitter_u64(emitter, "bytes", mark->bytes);
		vmt_emitter_u64(emitter, "in_ram_bytes", mark->in_ram_bytes);
		if (mark->taken_bytes == VMT_FIGURE_UNKNOWN)
			vmt_emitter_string(emitter, "taken_bytes", NULL);
		else
			vmt_emitter_u64(emitter, "taken_bytes", mark->taken_bytes);
		vmt_emitter_bool(emitter, "estimate", mark->estimate);
		if (mark->advice == SIZE_MAX)
			vmt_emitter_string(emitter, "advice", NULL);
		else
			vmt_emitter_u64(emitter, "advice", mark->advice);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

int
vmt_json_history_print(struct vmt_emitter *emitter, const struct vmt_json_history *wanted)
{
	const struct vmt_history *history = &wanted->report->history;
	size_t *positions;

	if (!history->is_built) {
		vmt_emitter_string(emitter, "history", NULL);
		return 0;
	}
	positions = find_positions(wanted);
	if (!positions)
		return -ENOMEM;
	vmt_emitter_object(emitter, "history");
	vmt_emitter_array(emitter, "line");
	for (size_t i = 0; i < history->point_count; i++)
		print_point(emitter, &history->points[i]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "snapshots");
	for (size_t i = 0; i < history->snapshot_count; i++)
		print_snapshot(emitter, history, &history->snapshots[i], positions);
	vmt_emitter_array_end(emitter);
	print_marks(emitter, history);
	vmt_emitter_object_end(emitter);
	free(positions);
	return 0;
}
