/*
 * read_all.h: a hostile trace through all that reads one.
 *
 * The reader alone (walk_trace.h), the model, the report in every form, the diff, the dump, and
 * what `record` says at its end. For the fuzzer, and for tests of what it found. Output goes
 * nowhere.
 */
#ifndef READ_ALL_H
#define READ_ALL_H

#include "tests/unit/walk_trace.h"
#include "tools/cmd/dump_record.h"
#include "tools/cmd/record_summary.h"
#include "tools/export/folded.h"
#include "tools/export/openmetrics.h"
#include "tools/export/perfetto.h"
#include "tools/export/pprof.h"
#include "tools/export/speedscope.h"
#include "tools/model/diff/diff_build.h"
#include "tools/model/diff/diff_verdict.h"
#include "tools/model/report/report_build.h"
#include "tools/page/report_page.h"
#include "tools/render/diff_group_rows.h"
#include "tools/render/diff_json.h"
#include "tools/render/diff_text.h"
#include "tools/render/json.h"
#include "tools/render/text_report.h"

static inline struct vmt_report *
read_all_explain(const char *path, enum vmt_report_at at)
{
	const struct vmt_report_options options = {.at = at, .history = true};
	struct vmt_report *report;
	struct vmt_err err = {""};
	int result = vmt_report_build(&report, path, &options, &err);

	WALK_CHECK((result == 0) == (report != NULL));
	WALK_CHECK((result < 0) == (err.text[0] != '\0'));
	return report;
}

static inline void
read_all_print(const struct vmt_report *report, FILE *nowhere)
{
	const struct vmt_json_options json = {.top = SIZE_MAX};
	const struct vmt_text_options text = {
	    .layout = {.out = nowhere, .columns = 100, .utf8 = true}, .top = 12, .callers = 3};
	struct vmt_err err = {""};

	WALK_CHECK(vmt_json_print(report, &json, nowhere, &err) == 0);
	vmt_text_report_print(report, &text);
}

/* Whatever a trace claims, the rows of its profile add up. */
static inline void
read_all_export(const struct vmt_report *report, FILE *nowhere)
{
	struct vmt_profile *profile = vmt_profile_make(report, VMT_PROFILE_MOST_ROWS);
	struct vmt_err err = {""};

	WALK_CHECK(profile != NULL);
	WALK_CHECK(!report->snapshot.taken ||
		   profile->totals[VMT_METRIC_COMMITTED_SPACE] == report->snapshot.rss_bytes);
	WALK_CHECK(!report->snapshot.taken ||
		   profile->totals[VMT_METRIC_INUSE_SPACE] == report->snapshot.virtual_bytes);
	vmt_profile_free(profile);
	WALK_CHECK(vmt_pprof_write(report, nowhere, &err) == 0);
	WALK_CHECK(vmt_perfetto_write(report, nowhere, &err) == 0);
	WALK_CHECK(vmt_openmetrics_write(report, nowhere, &err) == 0);
	WALK_CHECK(vmt_folded_write(report, VMT_METRIC_ALLOC_SPACE, nowhere, &err) == 0);
	WALK_CHECK(vmt_speedscope_write(report, VMT_METRIC_COMMITTED_SPACE, nowhere, &err) == 0);
}

static inline void
read_all_draw(const struct vmt_report *report, FILE *nowhere)
{
	const struct vmt_view_data data = {.reports = {report}, .paths = {"trace"}, .version = "0"};
	struct vmt_err err = {""};

	WALK_CHECK(!report->snapshot.taken || report->history.is_built);
	WALK_CHECK(vmt_report_page_write(&data, nowhere, &err) == 0);
}

static inline void
read_all_compare(const struct vmt_report *a, const struct vmt_report *b, FILE *nowhere)
{
	const struct vmt_diff_json_options json = {.paths = {"a", "b"}, .top = SIZE_MAX};
	const struct vmt_diff_text_options text = {.layout = {.out = nowhere, .columns = 100},
						   .paths = {"a", "b"},
						   .top = 12,
						   .callers = 3};
	struct vmt_diff *diff;
	struct vmt_diff_rows owners;
	struct vmt_err err = {""};

	if (vmt_diff_build(&diff, a, b, VMT_AT_PEAK, &err) != 0)
		return;
	if (vmt_diff_group_rows_merge(&owners, diff, 0))
		vmt_diff_verdict_judge(diff, &owners);
	WALK_CHECK(vmt_diff_json_print(diff, &json, nowhere, &err) == 0);
	vmt_diff_text_print(diff, &text);
	vmt_diff_group_rows_free(&owners);
	vmt_diff_free(diff);
}

static inline void
read_all_dump_snapshot(struct vmt_dump_record *dumped, const struct vmt_record *record)
{
	struct vmt_snapshot snapshot;
	struct vmt_err err = {""};

	if (vmt_snapshot_decode(&snapshot, dumped->trace, record->snapshot, &err) != 0)
		return;
	vmt_dump_record_snapshot(dumped, &snapshot);
	vmt_snapshot_decode_free(&snapshot);
}

static inline void
read_all_dump(const char *path, FILE *nowhere)
{
	struct vmt_dump_record dumped = {.stacks = true, .runs = true};
	struct vmt_record record = {.kind = VMT_RECORD_END};
	struct vmt_merge *merge;
	struct vmt_err err = {""};

	if (vmt_trace_open(&dumped.trace, path, &err) != 0)
		return;
	vmt_emitter_begin(&dumped.emitter, nowhere, VMT_EMITTER_TEXT);
	vmt_dump_record_head(&dumped);
	if (vmt_merge_open(&merge, dumped.trace, &err) == 0) {
		while (vmt_merge_next(merge, &record, &err) == 0 && record.kind != VMT_RECORD_END) {
			if (record.kind == VMT_RECORD_EVENT)
				vmt_dump_record_event(&dumped, &record.event);
			else if (record.kind == VMT_RECORD_USAGE)
				vmt_dump_record_usage(&dumped, &record.usage);
			else if (record.kind == VMT_RECORD_TOUCH)
				vmt_dump_record_touch(&dumped, &record.touch);
			else
				read_all_dump_snapshot(&dumped, &record);
		}
		vmt_merge_close(merge);
	}
	vmt_dump_record_loss(&dumped);
	vmt_dump_record_end(&dumped);
	vmt_trace_close(dumped.trace);
}

static inline void
read_all_conclude(const char *path, FILE *nowhere)
{
	struct vmt_record_summary recorded = {.count = 0};

	vmt_record_summary_add(&recorded, path);
	vmt_record_summary_print(&recorded, 1000, nowhere);
	vmt_record_summary_free(&recorded);
}

static inline void
read_all(const char *path)
{
	FILE *nowhere = fopen("/dev/null", "w");
	struct vmt_report *peak = read_all_explain(path, VMT_AT_PEAK);
	struct vmt_report *end = read_all_explain(path, VMT_AT_END);

	WALK_CHECK(nowhere != NULL);
	(void)walk_trace(path);
	if (peak != NULL) {
		read_all_print(peak, nowhere);
		read_all_export(peak, nowhere);
		read_all_draw(peak, nowhere);
	}
	if (peak != NULL && end != NULL)
		read_all_compare(peak, end, nowhere);
	vmt_report_free(peak);
	vmt_report_free(end);
	read_all_dump(path, nowhere);
	read_all_conclude(path, nowhere);
	fclose(nowhere);
}

#endif
