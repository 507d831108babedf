#include "tools/page/view_data.h"

#include "tools/page/view_cut.h"
#include "tools/page/view_history.h"
#include "tools/page/view_numbers.h"
#include "tools/page/view_sites.h"
#include "tools/page/view_stacks.h"
#include "tools/page/view_words.h"
#include "tools/render/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is written of one report. */
struct view {
	struct vmt_view_cut cut;
	const struct vmt_report *report; /* the cut one */
	const char *path;
	struct vmt_view_stacks *stacks;
	struct vmt_view_sites sites;
	struct vmt_view_history history;
	uint32_t *committer_nodes;
};

static void
view_end(struct view *view)
{
	vmt_view_cut_free(&view->cut);
	vmt_view_stacks_free(view->stacks);
	vmt_view_sites_free(&view->sites);
	vmt_view_history_free(&view->history);
	free(view->committer_nodes);
}

static int
view_begin(struct view *view, const struct vmt_view_data *data, size_t which)
{
	int result;

	*view = (struct view){.path = data->paths[which]};
	view->report = &view->cut.report;
	result = vmt_view_cut_make(&view->cut, data->reports[which], data->most_rows);
	if (result < 0)
		return result;
	result = vmt_view_history_begin(&view->history, view->report);
	view->history.advice_rows = view->cut.advice_rows;
	view->stacks = vmt_view_stacks_new();
	view->committer_nodes = calloc(view->report->committer_count + 1, sizeof(uint32_t));
	if (!view->stacks || !view->committer_nodes)
		result = -ENOMEM;
	if (result == 0)
		result = vmt_view_sites_make(&view->sites, view->report, data->most_sites,
					     data->folded_depth, view->stacks);
	for (size_t i = 0; i < view->report->committer_count && result == 0; i++)
		result = vmt_view_stacks_add(view->stacks, &view->report->committers[i].stack,
					     SIZE_MAX, &view->committer_nodes[i]);
	return result;
}

static void
write_sites(const struct view *view, struct vmt_emitter *emitter)
{
	const struct vmt_view_row *rows = view->sites.rows;
	size_t count = view->sites.row_count;

#define COLUMN(name, write)                                                                        \
	do {                                                                                       \
		vmt_emitter_array(emitter, name);                                                  \
		for (size_t i = 0; i < count; i++)                                                 \
			write;                                                                     \
		vmt_emitter_array_end(emitter);                                                    \
	} while (0)

	vmt_emitter_object(emitter, "sites");
	COLUMN("node", vmt_emitter_u64(emitter, NULL, rows[i].node));
	COLUMN("shown", vmt_view_words_frames(rows[i].stack, emitter));
	COLUMN("kind", vmt_emitter_string(emitter, NULL, rows[i].kind));
	COLUMN("class", vmt_emitter_i64(emitter, NULL,
					vmt_view_history_class(&view->history, rows[i].class)));
	COLUMN("count", vmt_view_number(emitter, NULL, rows[i].count));
	COLUMN("total_reserved", vmt_view_number(emitter, NULL, rows[i].total_reserved_bytes));
	COLUMN("released", vmt_view_number(emitter, NULL, rows[i].released_bytes));
	COLUMN("released_committed",
	       vmt_view_number(emitter, NULL, rows[i].released_committed_bytes));
	COLUMN("estimate", vmt_emitter_u64(emitter, NULL, rows[i].estimate));
	COLUMN("folded", vmt_emitter_u64(emitter, NULL, rows[i].is_folded));
#undef COLUMN
	vmt_emitter_object_end(emitter);
}

static void
write_left_out(const struct view *view, struct vmt_emitter *emitter)
{
	vmt_emitter_object(emitter, "left_out");
	vmt_emitter_u64(emitter, "advice", view->cut.advice_left_out);
	vmt_emitter_u64(emitter, "locks", view->cut.locks_left_out);
	vmt_emitter_u64(emitter, "files", view->cut.files_left_out);
	vmt_view_number(emitter, "files_bytes", view->cut.files_left_out_bytes);
	vmt_emitter_object_end(emitter);
}

static void
write_folded(const struct view *view, struct vmt_emitter *emitter)
{
	if (view->sites.folded_sites == 0) {
		vmt_emitter_string(emitter, "folded", NULL);
		return;
	}
	vmt_emitter_object(emitter, "folded");
	vmt_emitter_u64(emitter, "stacks", view->sites.folded_sites);
	vmt_view_number(emitter, "bytes_committed", view->sites.folded_committed_bytes);
	vmt_emitter_object_end(emitter);
}

/* [row of the table or -1, class or -1, bytes, estimate] */
static void
write_reserved_by(const struct view *view, const struct vmt_committer *committer,
		  struct vmt_emitter *emitter)
{
	vmt_emitter_array(emitter, NULL);
	for (size_t i = 0; i < committer->reserved_by_count; i++) {
		const struct vmt_reserved_part *part = &committer->reserved_by[i];
		bool known = part->site < view->report->site_count;

		vmt_emitter_array(emitter, NULL);
		vmt_emitter_i64(emitter, NULL,
				known ? (int64_t)view->sites.row_of[part->site] : -1);
		vmt_emitter_i64(emitter, NULL, vmt_view_history_class(&view->history, part->class));
		vmt_view_number(emitter, NULL, part->bytes);
		vmt_emitter_u64(emitter, NULL, part->estimate);
		vmt_emitter_array_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
write_committers(const struct view *view, struct vmt_emitter *emitter)
{
	const struct vmt_committer *committers = view->report->committers;
	size_t count = view->report->committer_count;

	if (count == 0) {
		vmt_emitter_string(emitter, "committers", NULL);
		return;
	}
#define COLUMN(name, write)                                                                        \
	do {                                                                                       \
		vmt_emitter_array(emitter, name);                                                  \
		for (size_t i = 0; i < count; i++)                                                 \
			write;                                                                     \
		vmt_emitter_array_end(emitter);                                                    \
	} while (0)

	vmt_emitter_object(emitter, "committers");
	COLUMN("node", vmt_emitter_u64(emitter, NULL, view->committer_nodes[i]));
	COLUMN("shown", vmt_view_words_frames(&committers[i].stack, emitter));
	COLUMN("evidence", vmt_emitter_string(emitter, NULL, committers[i].evidence));
	COLUMN("committed", vmt_view_number(emitter, NULL, committers[i].committed_bytes));
	COLUMN("samples", vmt_view_number(emitter, NULL, committers[i].samples));
	COLUMN("samples_now",
	       vmt_view_number(emitter, NULL, vmt_report_samples(committers[i].samples_now)));
	COLUMN("estimate", vmt_emitter_u64(emitter, NULL, committers[i].estimate));
	COLUMN("unshared", vmt_view_number(emitter, NULL, committers[i].unshared_bytes));
	COLUMN("reserved_by", write_reserved_by(view, &committers[i], emitter));
#undef COLUMN
	vmt_emitter_object_end(emitter);
}

static void
write_timeline(const struct vmt_report *report, struct vmt_emitter *emitter)
{
	vmt_emitter_object(emitter, "timeline");
	vmt_emitter_array(emitter, "time_ns");
	for (size_t i = 0; i < report->rss_count; i++)
		vmt_emitter_i64(emitter, NULL, report->rss[i].time_ns);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "rss");
	for (size_t i = 0; i < report->rss_count; i++)
		vmt_view_number(emitter, NULL, report->rss[i].rss_bytes);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

static int
write_columns(const struct view *view, FILE *json, struct vmt_err *err)
{
	struct vmt_emitter emitter;
	int result;

	vmt_emitter_begin(&emitter, json, VMT_EMITTER_JSON_LINES);
	vmt_emitter_object(&emitter, NULL);
	result = vmt_view_words_write(view->report, view->path, &emitter);
	vmt_view_stacks_write(view->stacks, &emitter);
	if (result == 0)
		result = vmt_view_history_write(&view->history, &view->sites, &emitter);
	write_sites(view, &emitter);
	write_folded(view, &emitter);
	write_left_out(view, &emitter);
	write_committers(view, &emitter);
	write_timeline(view->report, &emitter);
	vmt_emitter_object_end(&emitter);
	if (result < 0)
		return vmt_err_set(err, -result, "not enough memory for the page's data");
	return vmt_emitter_finish(&emitter, err);
}

static int
write_view(const struct view *view, FILE *json, struct vmt_err *err)
{
	struct vmt_json_options options = {.top = 0};
	struct vmt_report report = *view->report;
	int result;

	/* Both are in the columns. */
	report.history = (struct vmt_history){0};
	report.committer_count = 0;
	fputs("{\"report\":", json);
	result = vmt_json_print(&report, &options, json, err);
	if (result < 0)
		return result;
	fputs(",\"data\":", json);
	result = write_columns(view, json, err);
	fputs("}", json);
	return result;
}

/* -- a diff ------------------------------------------------------------------------------------ */

/* The rows of one side of a diff's row; those that several sites share stand in no pair. */
static void
write_side(const struct vmt_diff_site *row, bool of_b, const struct view *view,
	   struct vmt_emitter *emitter)
{
	vmt_emitter_array(emitter, NULL);
	for (size_t i = 0; i < row->member_count; i++) {
		uint32_t number;

		if (row->members[i].of_b != of_b)
			continue;
		number = view->sites.row_of[row->members[i].site - view->report->sites];
		if (!view->sites.rows[number].is_folded)
			vmt_emitter_u64(emitter, NULL, number);
	}
	vmt_emitter_array_end(emitter);
}

/* Of a class (NULL: of none), the rows that are folded. */
static void
write_folded_side(const char *class, const struct view *view, struct vmt_emitter *emitter)
{
	vmt_emitter_array(emitter, NULL);
	for (size_t i = 0; i < view->sites.row_count; i++) {
		const struct vmt_view_row *row = &view->sites.rows[i];

		if (row->is_folded &&
		    (class ? row->class && strcmp(row->class, class) == 0 : !row->class))
			vmt_emitter_u64(emitter, NULL, i);
	}
	vmt_emitter_array_end(emitter);
}

static int
write_diff(const struct vmt_view_data *data, const struct view views[2],
	   struct vmt_emitter *emitter)
{
	int result;

	if (!data->diff) {
		vmt_emitter_string(emitter, "diff", NULL);
		return 0;
	}
	vmt_emitter_object(emitter, "diff");
	vmt_emitter_string(emitter, "headline", data->headline);
	vmt_emitter_array(emitter, "pairs");
	for (size_t i = 0; i < data->diff->site_count; i++) {
		vmt_emitter_array(emitter, NULL);
		write_side(&data->diff->sites[i], false, &views[0], emitter);
		write_side(&data->diff->sites[i], true, &views[1], emitter);
		vmt_emitter_array_end(emitter);
	}
	for (unsigned id = 0; id <= VMT_CLASSES; id++) {
		const char *class =
		    id < VMT_CLASSES ? vmt_classes_name((enum vmt_class_id)id) : NULL;

		vmt_emitter_array(emitter, NULL);
		write_folded_side(class, &views[0], emitter);
		write_folded_side(class, &views[1], emitter);
		vmt_emitter_array_end(emitter);
	}
	vmt_emitter_array_end(emitter);
	result = vmt_view_words_diff(data->diff, emitter);
	vmt_emitter_object_end(emitter);
	return result;
}

static int
write_rest(const struct vmt_view_data *data, const struct view views[2], FILE *json,
	   struct vmt_err *err)
{
	struct vmt_emitter emitter;
	int result;

	vmt_emitter_begin(&emitter, json, VMT_EMITTER_JSON_LINES);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_string(&emitter, "vmtrace", data->version);
	result = write_diff(data, views, &emitter);
	vmt_emitter_object_end(&emitter);
	if (result < 0)
		return vmt_err_set(err, -result, "not enough memory for the page's data");
	return vmt_emitter_finish(&emitter, err);
}

int
vmt_view_data_write(const struct vmt_view_data *data, FILE *json, struct vmt_err *err)
{
	size_t count = data->diff ? 2 : 1;
	struct view views[2] = {{.report = NULL}};
	int result = 0;

	fputs("{\"format\":\"vmtrace-view/1\",\"views\":[", json);
	for (size_t i = 0; i < count && result == 0; i++) {
		result = view_begin(&views[i], data, i);
		if (result < 0) {
			vmt_err_set(err, -result, "not enough memory for the page's data");
			break;
		}
		if (i)
			fputs(",", json);
		result = write_view(&views[i], json, err);
	}
	fputs("],\"about\":", json);
	if (result == 0)
		result = write_rest(data, views, json, err);
	fputs("}\n", json);
	for (size_t i = 0; i < count; i++)
		view_end(&views[i]);
	return result;
}
