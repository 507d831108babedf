#include "tools/serve/answer.h"

#include "base/ticks.h"
#include "tools/cmd/version.h"
#include "tools/export/fleet_metrics.h"
#include "tools/export/pprof.h"
#include "tools/model/report/report_build.h"
#include "tools/model/tree/tree_build.h"
#include "tools/model/tree/tree_line.h"
#include "tools/page/report_page.h"
#include "tools/page/tree_page.h"
#include "tools/render/emitter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Rows of all processes' profiles together, and at least of each. */
#define LEAST_ROWS 100u

/* Parts of the time for an answer: for reading what is to be kept, and for reports as well. The
 * rest is for the last report and for writing. */
#define READING_NS(seconds) ((int64_t)(seconds)*NS_PER_SECOND / 2)
#define REPORTING_NS(seconds) ((int64_t)(seconds)*NS_PER_SECOND / 6 * 5)

#define NS_PER_SECOND INT64_C(1000000000)

const char *
vmt_answer_type(enum vmt_request_kind kind)
{
	switch (kind) {
	case VMT_REQUEST_METRICS:
		return "application/openmetrics-text; version=1.0.0; charset=utf-8";
	case VMT_REQUEST_HEAP:
	case VMT_REQUEST_ALLOCS:
		return "application/octet-stream";
	case VMT_REQUEST_TARGETS:
		return "application/json";
	case VMT_REQUEST_PAGE:
		return "text/html; charset=utf-8";
	}
	return "text/plain";
}

/* By its path, or its base name where no directory is named. */
static bool
is_program(const char *exe, const char *wanted)
{
	const char *base = strrchr(exe, '/');

	return strcmp(exe, wanted) == 0 || (base && strcmp(base + 1, wanted) == 0);
}

static bool
is_wanted(const struct vmt_answer *answer, const struct vmt_running_trace *trace)
{
	const struct vmt_request *request = answer->request;

	return (request->pid == 0 || trace->pid == request->pid) &&
	       (!request->exe[0] || is_program(trace->exe, request->exe));
}

static size_t
count_wanted(const struct vmt_answer *answer)
{
	size_t count = 0;

	for (size_t i = 0; i < answer->traces.count; i++)
		count += is_wanted(answer, &answer->traces.all[i]);
	return count;
}

static uint64_t
now_unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static bool
is_late(int64_t until_ns)
{
	return (int64_t)vmt_ticks_monotonic_ns() > until_ns;
}

/* To be freed in either case. */
static int
make_report(const struct vmt_answer *answer, const struct vmt_running_trace *trace, bool symbols,
	    struct vmt_kept_report *report, struct vmt_err *err)
{
	int result;

	*report = (struct vmt_kept_report){.report = NULL};
	if (!vmt_quarantine_enter(answer->source->quarantine, trace->path))
		return vmt_err_set(err, EAGAIN, "%s: is left out", trace->path);
	result = vmt_kept_traces_report(answer->kept, trace, symbols, report, err);
	vmt_quarantine_leave(answer->source->quarantine);
	return result;
}

/* false: no memory. */
static bool
add_to_fleet(const struct vmt_answer *answer, struct vmt_fleet *fleet,
	     const struct vmt_running_trace *trace)
{
	struct vmt_kept_report report;
	struct vmt_err err = {""};
	bool done = true;

	if (is_late(answer->until_ns)) {
		vmt_fleet_add_unread(fleet);
		return true;
	}
	if (make_report(answer, trace, false, &report, &err) < 0)
		vmt_fleet_add_unread(fleet);
	else
		done = vmt_fleet_add(fleet, report.report, now_unix_ns());
	vmt_kept_report_free(&report);
	return done;
}

static int
write_metrics(const struct vmt_answer *answer)
{
	struct vmt_fleet *fleet = vmt_fleet_new(answer->source->by_pid);
	bool done = fleet != NULL;
	int result;

	for (size_t i = answer->read; i < answer->traces.count + answer->traces.unread && done; i++)
		vmt_fleet_add_unread(fleet);
	for (size_t i = 0; i < answer->read && done; i++)
		done = add_to_fleet(answer, fleet, &answer->traces.all[i]);
	if (done) {
		vmt_fleet_set_running(fleet, answer->traces.count);
		vmt_fleet_set_left_out(fleet, answer->traces.left_out);
	}
	result = done ? vmt_fleet_write(fleet, answer->out, answer->err)
		      : vmt_err_set(answer->err, ENOMEM, "not enough memory for the metrics");
	vmt_fleet_free(fleet);
	return result;
}

/* Of each process as many rows as there is room for. */
static size_t
rows_of_each(size_t processes)
{
	size_t rows = VMT_PROFILE_MOST_ROWS / (processes ? processes : 1);

	return rows > LEAST_ROWS ? rows : LEAST_ROWS;
}

static int
write_profile(const struct vmt_answer *answer, enum vmt_metric shown_first)
{
	struct vmt_pprof_several *profiles;
	size_t added = 0;

	if (answer->read < answer->traces.count)
		return vmt_err_set(answer->err, ETIME,
				   "there is much to read, which goes on when this is asked again");
	profiles = vmt_pprof_begin(shown_first, rows_of_each(count_wanted(answer)));

	for (size_t i = 0; profiles && i < answer->traces.count; i++) {
		const struct vmt_running_trace *trace = &answer->traces.all[i];
		struct vmt_kept_report report;
		struct vmt_err why = {""};

		if (!is_wanted(answer, trace))
			continue;
		if (is_late(answer->until_ns)) {
			vmt_pprof_drop(profiles);
			return vmt_err_set(answer->err, ETIME,
					   "these are more processes than can be read in time: "
					   "pid=PID or exe=NAME chooses some");
		}
		if (make_report(answer, trace, true, &report, &why) == 0) {
			vmt_pprof_add(profiles, report.report);
			added++;
		}
		vmt_kept_report_free(&report);
	}
	if (profiles && added == 0) {
		vmt_pprof_drop(profiles);
		return vmt_err_set(answer->err, ENOENT,
				   "no such process is recorded now, or its trace can't be read");
	}
	return vmt_pprof_end(profiles, answer->out, answer->err);
}

/* One target a process, which a scraper asks for its profile by the parameter pid. */
static void
write_target(const struct vmt_answer *answer, const struct vmt_running_trace *trace)
{
	struct vmt_emitter emitter;
	char pid[16];

	snprintf(pid, sizeof(pid), "%" PRIu32, trace->pid);
	vmt_emitter_begin(&emitter, answer->out, VMT_EMITTER_JSON_LINES);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_array(&emitter, "targets");
	vmt_emitter_string(&emitter, NULL,
			   answer->request->host[0] ? answer->request->host
						    : answer->source->address);
	vmt_emitter_array_end(&emitter);
	vmt_emitter_object(&emitter, "labels");
	vmt_emitter_string(&emitter, "__scheme__", answer->source->scheme);
	vmt_emitter_string(&emitter, "__param_pid", pid);
	vmt_emitter_string(&emitter, "pid", pid);
	vmt_emitter_string(&emitter, "exe", trace->exe);
	vmt_emitter_object_end(&emitter);
	vmt_emitter_object_end(&emitter);
}

static int
write_targets(const struct vmt_answer *answer)
{
	fputs("[\n", answer->out);
	for (size_t i = 0; i < answer->traces.count && i < VMT_FLEET_MOST_TARGETS; i++) {
		if (i > 0)
			fputs(",", answer->out);
		write_target(answer, &answer->traces.all[i]);
	}
	fputs("]\n", answer->out);
	return 0;
}

static int
write_report_page(const struct vmt_answer *answer, const struct vmt_running_trace *trace)
{
	const struct vmt_report_options options = {
	    .at = VMT_AT_END, .symbols = true, .history = true};
	struct vmt_view_data data = {.paths = {trace->path}, .version = VMT_VERSION_TEXT};
	struct vmt_report *report = NULL;
	int result;

	if (!vmt_quarantine_enter(answer->source->quarantine, trace->path))
		return vmt_err_set(answer->err, EAGAIN, "its trace is left out");
	result = vmt_report_build(&report, trace->path, &options, answer->err);
	data.reports[0] = report;
	if (result == 0)
		result = vmt_report_page_write(&data, answer->out, answer->err);
	vmt_quarantine_leave(answer->source->quarantine);
	vmt_report_free(report);
	return result;
}

/* Those of the wanted traces, which stay the running traces' own. */
static struct vmt_tree_file *
files_of(const struct vmt_answer *answer)
{
	struct vmt_tree_file *files = calloc(count_wanted(answer), sizeof(*files));
	size_t count = 0;

	for (size_t i = 0; files && i < answer->traces.count; i++)
		if (is_wanted(answer, &answer->traces.all[i])) {
			char *path = answer->traces.all[i].path;
			char *base = strrchr(path, '/');

			files[count++] =
			    (struct vmt_tree_file){.path = path, .name = base ? base + 1 : path};
		}
	return files;
}

static bool
begin_trace(void *context, const char *path)
{
	return vmt_quarantine_enter(context, path);
}

static void
end_trace(void *context)
{
	vmt_quarantine_leave(context);
}

static int
write_tree_page(const struct vmt_answer *answer)
{
	const struct vmt_tree_options options = {
	    .group_by = VMT_TREE_BY_TITLE,
	    .at = VMT_TREE_AT_DEFAULT,
	    .watcher = {begin_trace, end_trace, answer->source->quarantine}};
	struct vmt_tree_file *files = files_of(answer);
	struct vmt_tree *tree = NULL;
	struct vmt_tree_page page = {
	    .where = answer->source->directory, .version = VMT_VERSION_TEXT, .most_rows = SIZE_MAX};
	int result = -ENOMEM;

	if (files)
		result = vmt_tree_build(&tree, files, count_wanted(answer), &options, answer->err);
	if (result == 0 && !vmt_tree_line_fill(tree, VMT_TREE_LINE_POINTS))
		result = -ENOMEM;
	page.tree = tree;
	if (result == 0)
		result = vmt_tree_page_write(&page, answer->out, answer->err);
	vmt_tree_free(tree);
	free(files);
	return result == -ENOMEM ? vmt_err_set(answer->err, ENOMEM, "out of memory") : result;
}

/* Of one process its report, of several the tree. */
static int
write_page(const struct vmt_answer *answer)
{
	size_t count = count_wanted(answer);

	if (count == 0)
		return vmt_err_set(answer->err, ENOENT, "no such process is recorded now");
	if (count > 1)
		return write_tree_page(answer);
	for (size_t i = 0;; i++)
		if (is_wanted(answer, &answer->traces.all[i]))
			return write_report_page(answer, &answer->traces.all[i]);
}

static int
write_kind(const struct vmt_answer *answer)
{
	switch (answer->request->kind) {
	case VMT_REQUEST_METRICS:
		return write_metrics(answer);
	case VMT_REQUEST_HEAP:
		return write_profile(answer, VMT_METRIC_COMMITTED_SPACE);
	case VMT_REQUEST_ALLOCS:
		return write_profile(answer, VMT_METRIC_ALLOC_SPACE);
	case VMT_REQUEST_TARGETS:
		return write_targets(answer);
	case VMT_REQUEST_PAGE:
		return write_page(answer);
	}
	return -EINVAL;
}

/* The others look at no trace, or at its history too: they read it from its beginning. */
static bool
needs_reports(const struct vmt_request *request)
{
	return request->kind == VMT_REQUEST_METRICS || request->kind == VMT_REQUEST_HEAP ||
	       request->kind == VMT_REQUEST_ALLOCS;
}

static void
read_new(const struct vmt_answer *answer, const struct vmt_running_trace *trace)
{
	if (!vmt_quarantine_enter(answer->source->quarantine, trace->path))
		return;
	vmt_kept_traces_read(answer->kept, trace, answer->request->kind != VMT_REQUEST_METRICS);
	vmt_quarantine_leave(answer->source->quarantine);
}

int
vmt_answer_begin(struct vmt_answer *answer, const struct vmt_answer_source *source,
		 const struct vmt_request *request, struct vmt_kept_traces *kept, unsigned seconds,
		 struct vmt_err *err)
{
	int64_t begun_ns = (int64_t)vmt_ticks_monotonic_ns();
	int result;

	*answer = (struct vmt_answer){.source = source,
				      .request = request,
				      .kept = kept,
				      .until_ns = begun_ns + REPORTING_NS(seconds)};
	result =
	    vmt_running_traces_find(&answer->traces, source->directory, source->quarantine, err);
	if (result < 0)
		return result;
	vmt_kept_traces_drop_others(kept, &answer->traces);
	for (size_t i = 0; i < answer->traces.count && needs_reports(request); i++) {
		if (is_late(begun_ns + READING_NS(seconds)))
			break;
		if (is_wanted(answer, &answer->traces.all[i]))
			read_new(answer, &answer->traces.all[i]);
		answer->read = i + 1;
	}
	return 0;
}

void
vmt_answer_end(struct vmt_answer *answer)
{
	vmt_running_traces_free(&answer->traces);
}

int
vmt_answer_write(struct vmt_answer *answer, FILE *out, struct vmt_err *err)
{
	answer->out = out;
	answer->err = err;
	return write_kind(answer);
}
