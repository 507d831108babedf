#include "tools/cmd/cmd.h"
#include "tools/cmd/compare.h"
#include "tools/cmd/output.h"
#include "tools/cmd/progress.h"
#include "tools/cmd/report_args.h"
#include "tools/cmd/report_formats.h"
#include "tools/cmd/trace_files.h"
#include "tools/cmd/tree_report.h"
#include "tools/memory_limit.h"
#include "tools/model/report/report_build.h"
#include "tools/render/headline.h"
#include "tools/render/text_report.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

enum {
	OPTION_SORT,
	OPTION_TOP,
	OPTION_FRAMES,
	OPTION_SYSROOT,
	OPTION_AT,
	OPTION_FROM,
	OPTION_TO,
	OPTION_FORMAT,
	OPTION_OUTPUT,
	OPTION_METRIC,
	OPTION_GROUP,
	OPTION_BY,
	OPTION_TREE,
	OPTION_INVERTED,
	OPTION_FOCUS, /* the four of report_args.h */
	OPTION_IGNORE,
	OPTION_HIDE,
	OPTION_MATCH,
};

const struct vmt_option vmt_cmd_report_options[] = {
    {"sort", 's', "FIGURE",
     "committed (default), gap, never-touched, reserved, released, count, leaked, temporary"},
    {"top", 'n', "N", "rows of each list (default 12; json: all sites)"},
    {"frames", 0, "N", "callers below each row (default 3)"},
    VMT_REPORT_ARGS_SYSROOT,
    {"at", 0, "WHEN", "peak, end, a time since the start (1.5s, 300ms) or of the day (12:45:13)"},
    {"from", 0, "WHEN", "the first of two moments to compare"},
    {"to", 0, "WHEN", "the second (default: the moment of a report)"},
    {"format", 'f', "FORMAT",
     "text (default), json, html, pprof, folded, speedscope, perfetto, openmetrics"},
    {"output", 'o', "FILE", "write to FILE (default: -, standard output)"},
    {"metric", 0, "METRIC",
     "of folded, and shown first by speedscope: committed_space (default) ..."},
    {"group", 0, "BY", "several traces: groups by title (default) or exe"},
    {"by", 0, "WHAT", "add call sites up by function, file, module, class or thread"},
    {"tree", 0, NULL, "show calls as a tree, from the outermost inwards"},
    {"inverted", 0, NULL, "... from what asked for memory outwards"},
    VMT_REPORT_ARGS_PATTERNS,
    {0},
};

struct wanted {
	struct vmt_report_options build;
	struct vmt_report_options from; /* where two moments are compared; build is --to */
	struct vmt_report_view view;
	const struct vmt_report_format *format;
	const struct vmt_compare_format *compare_format; /* NULL: no two moments are compared */
	const char *output;
	struct vmt_selection_patterns patterns;
};

/* --at, or --from and --to. */
static int
read_moments(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	const char *at = options->values[OPTION_AT];
	const char *from = options->values[OPTION_FROM];
	const char *to = options->values[OPTION_TO];
	int result;

	if (!from && !to)
		return vmt_report_args_at("--at", at, &wanted->build, err);
	if (!from || at || options->values[OPTION_SORT])
		return vmt_err_set(err, EINVAL,
				   "--from WHEN --to WHEN go together, without --at and --sort");
	wanted->from = wanted->build;
	result = vmt_report_args_at("--from", from, &wanted->from, err);
	return result < 0 ? result : vmt_report_args_at("--to", to, &wanted->build, err);
}

/* What a format can't do is not left out in silence. */
static int
check_format(const struct vmt_options *options, const struct vmt_report_format *format,
	     struct vmt_err *err)
{
	static const int of_rows[] = {OPTION_SORT,   OPTION_TOP,   OPTION_FRAMES, OPTION_FOCUS,
				      OPTION_IGNORE, OPTION_MATCH, OPTION_BY};

	for (size_t i = 0; i < sizeof(of_rows) / sizeof(*of_rows) && !format->has_rows; i++)
		if (options->values[of_rows[i]])
			return vmt_err_set(err, EINVAL,
					   "--%s does not go with --format %s, which has all rows",
					   vmt_cmd_report_options[of_rows[i]].name, format->name);
	if (options->values[OPTION_METRIC] && !format->has_metric)
		return vmt_err_set(err, EINVAL, "--metric does not go with --format %s",
				   format->name);
	return 0;
}

/* Two moments are compared in the forms that a diff has. */
static int
read_format(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	const char *name = options->values[OPTION_FORMAT];
	const char *metric = options->values[OPTION_METRIC];

	if (options->values[OPTION_FROM] || options->values[OPTION_TO]) {
		if (metric)
			return vmt_err_set(err, EINVAL,
					   "--metric does not go with --from and --to");
		wanted->compare_format = vmt_compare_find_format(name, err);
		if (!wanted->compare_format)
			return -EINVAL;
		wanted->view.top = wanted->compare_format->top;
		wanted->build.history = wanted->compare_format->history;
		return 0;
	}
	wanted->view.metric = VMT_METRIC_COMMITTED_SPACE;
	if (metric) {
		int chosen = vmt_options_choose("--metric", metric, vmt_profile_metric_names, err);

		if (chosen < 0)
			return chosen;
		wanted->view.metric = (enum vmt_metric)chosen;
	}
	wanted->format = vmt_report_formats_find(name, err);
	if (!wanted->format)
		return -EINVAL;
	wanted->view.top = wanted->format->top;
	wanted->build.history = wanted->format->history;
	return check_format(options, wanted->format, err);
}

/* --by, --tree and --inverted: another view than all sections. */
static int
read_shape(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	const char *by = options->values[OPTION_BY];
	bool inverted = options->values[OPTION_INVERTED] != NULL;
	bool tree = options->values[OPTION_TREE] || inverted;
	int found;

	if (by && tree)
		return vmt_err_set(err, EINVAL, "--by and --tree are two views: choose one");
	if ((by || tree) && wanted->compare_format)
		return vmt_err_set(err, EINVAL, "--%s does not go with --from and --to",
				   by ? "by" : "tree");
	if (tree && wanted->format != vmt_report_formats)
		return vmt_err_set(err, EINVAL, "--tree goes with --format text");
	if (tree)
		wanted->view.tree = inverted ? VMT_TEXT_TREE_INVERTED : VMT_TEXT_TREE_CALLERS;
	if (!by)
		return 0;
	found = vmt_options_choose("--by", by, vmt_aggregate_words, err);
	if (found < 0)
		return found;
	wanted->view.by = (enum vmt_aggregate_by)(VMT_AGGREGATE_FUNCTION + found);
	wanted->build.by_thread = wanted->view.by == VMT_AGGREGATE_THREAD;
	return 0;
}

static int
read_options(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	int result;

	*wanted = (struct wanted){.format = vmt_report_formats,
				  .build.symbols = true,
				  .output = options->values[OPTION_OUTPUT],
				  .view.callers = VMT_TEXT_DEFAULT_CALLERS};
	if (options->values[OPTION_GROUP])
		return vmt_err_set(err, EINVAL, "--group goes with several traces or a directory");
	wanted->view.path = options->operands[0];
	result = read_format(options, wanted, err);
	if (result >= 0 && options->values[OPTION_SORT]) {
		result =
		    vmt_options_choose("--sort", options->values[OPTION_SORT], vmt_rank_words, err);
		wanted->view.rank = (enum vmt_rank_by)result;
	}
	if (result >= 0)
		result = vmt_report_args_count("--top", options->values[OPTION_TOP],
					       &wanted->view.top, err);
	if (result >= 0)
		result = vmt_report_args_count("--frames", options->values[OPTION_FRAMES],
					       &wanted->view.callers, err);
	if (result >= 0)
		result = vmt_report_args_sysroot(options->values[OPTION_SYSROOT],
						 &wanted->build.sysroot, err);
	if (result >= 0)
		result = read_moments(options, wanted, err);
	if (result >= 0)
		result = read_shape(options, wanted, err);
	wanted->patterns.callers = wanted->view.callers;
	if (result >= 0)
		result = vmt_report_args_patterns(&options->values[OPTION_FOCUS], &wanted->patterns,
						  err);
	return result < 0 ? result : 0;
}

static int
write_report(struct vmt_report *report, const struct wanted *wanted, FILE *out, struct vmt_err *err)
{
	struct vmt_report_view view = wanted->view;
	struct vmt_selection selection;
	int result;

	if (!vmt_report_args_has_patterns(&wanted->patterns))
		return wanted->format->write(report, &view, out, err);
	vmt_selection_hide(&wanted->patterns, report);
	if (vmt_selection_make(&selection, &wanted->patterns, report) < 0)
		return vmt_err_set(err, ENOMEM, "out of memory");
	view.selection = &selection;
	result = wanted->format->write(report, &view, out, err);
	vmt_selection_free(&selection);
	return result;
}

/* Where the format has no place for it: a reader of the file does not see it, who writes it does.
 */
static void
tell_losses(const struct vmt_report *report, const struct vmt_report_format *format)
{
	char text[VMT_LAYOUT_LINE_BYTES];

	vmt_headline_losses(report, text, sizeof(text));
	if (format->lacks_losses && *text)
		fprintf(stderr, "vmtrace: %s\n", text);
}

static int
report_one(const struct wanted *wanted, struct vmt_err *err)
{
	const char *inputs[] = {wanted->view.path, NULL};
	struct vmt_report *report = NULL;
	struct vmt_output output;
	int result =
	    vmt_output_open(&output, wanted->output, wanted->format->is_binary, false, inputs, err);

	if (result < 0)
		return result;
	result = vmt_progress_build(&report, wanted->view.path, &wanted->build, err);
	if (result == 0)
		result = write_report(report, wanted, output.file, err);
	if (result == 0)
		tell_losses(report, wanted->format);
	vmt_report_free(report);
	return vmt_output_close(&output, result, err);
}

static int
report_change(const struct wanted *wanted, struct vmt_err *err)
{
	const struct vmt_selection_patterns *patterns =
	    vmt_report_args_has_patterns(&wanted->patterns) ? &wanted->patterns : NULL;
	const char *path = wanted->view.path;
	struct vmt_report *reports[2] = {NULL, NULL};
	int result = vmt_progress_build(&reports[0], path, &wanted->from, err);

	if (result == 0)
		result = vmt_progress_build(&reports[1], path, &wanted->build, err);
	if (result == 0)
		result =
		    vmt_compare_write(&(struct vmt_compare){.reports = {reports[0], reports[1]},
							    .paths = {path, path},
							    .output = wanted->output,
							    .at = VMT_AT_TIME,
							    .top = wanted->view.top,
							    .callers = wanted->view.callers,
							    .patterns = patterns,
							    .format = wanted->compare_format},
				      err);
	vmt_report_free(reports[0]);
	vmt_report_free(reports[1]);
	return result;
}

static bool
is_for_several(int option)
{
	return option == OPTION_TOP || option == OPTION_FORMAT || option == OPTION_OUTPUT ||
	       option == OPTION_GROUP || option == OPTION_AT || option == OPTION_SYSROOT;
}

static int
report_several(const struct vmt_options *options, struct vmt_err *err)
{
	struct vmt_tree_report wanted = {.operands = options->operands,
					 .operand_count = options->operand_count,
					 .format = options->values[OPTION_FORMAT],
					 .output = options->values[OPTION_OUTPUT],
					 .group = options->values[OPTION_GROUP],
					 .at = options->values[OPTION_AT],
					 .top = options->values[OPTION_TOP],
					 .most = VMT_TRACE_FILES_MOST};
	int result;

	for (size_t i = 0; vmt_cmd_report_options[i].name; i++)
		if (options->values[i] && !is_for_several((int)i))
			return vmt_err_set(err, EINVAL,
					   "--%s goes with one trace: the list (vmtrace "
					   "report DIR) names them",
					   vmt_cmd_report_options[i].name);
	result = vmt_report_args_sysroot(options->values[OPTION_SYSROOT], &wanted.sysroot, err);
	if (result < 0)
		return result;
	vmt_memory_limit_set_machine();
	return vmt_tree_report_write(&wanted, err);
}

static int
report(const struct wanted *wanted, struct vmt_err *err)
{
	vmt_memory_limit_set_machine();
	return wanted->compare_format ? report_change(wanted, err) : report_one(wanted, err);
}

int
vmt_cmd_report_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	struct wanted wanted = {.format = vmt_report_formats};
	int result;

	result = vmt_options_parse(&options, vmt_cmd_report_options, argc, argv, false, err);
	if (result == 0 && options.operand_count == 0)
		result = vmt_err_set(err, EINVAL, "report needs a trace file");
	if (result == 0 && vmt_tree_report_is_for(options.operands, options.operand_count))
		return report_several(&options, err);
	if (result == 0)
		result = read_options(&options, &wanted, err);
	if (result == 0)
		result = report(&wanted, err);
	vmt_report_args_patterns_free(&wanted.patterns);
	return result;
}
