#include "tools/cmd/cmd.h"
#include "tools/cmd/compare.h"
#include "tools/cmd/exec_traces.h"
#include "tools/cmd/progress.h"
#include "tools/cmd/report_args.h"
#include "tools/cmd/terminal.h"
#include "tools/cmd/trace_list.h"
#include "tools/memory_limit.h"
#include "tools/model/report/report_build.h"
#include "tools/render/json.h"
#include "tools/render/text_report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_SORT, OPTION_TOP, OPTION_FRAMES, OPTION_AT, OPTION_FROM, OPTION_TO, OPTION_FORMAT };

const struct vmt_option vmt_cmd_report_options[] = {
    {"sort", 's', "FIGURE", "committed (default), gap, never-touched, reserved, released, count"},
    {"top", 'n', "N", "rows of each list (default 12; json: all sites)"},
    {"frames", 0, "N", "callers below each row (default 3)"},
    {"at", 0, "WHEN", "peak, end, a time since the start (1.5s, 300ms) or of the day (12:45:13)"},
    {"from", 0, "WHEN", "the first of two moments to compare"},
    {"to", 0, "WHEN", "the second (default: the moment of a report)"},
    {"format", 'f', "FORMAT", "text (default), json"},
    {0},
};

struct wanted {
	struct vmt_report_options build;
	struct vmt_report_options from; /* where two moments are compared; build is --to */
	enum vmt_rank_by rank;
	size_t top;
	size_t callers;
	bool compares;
	bool json;
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
	wanted->compares = true;
	wanted->from = wanted->build;
	result = vmt_report_args_at("--from", from, &wanted->from, err);
	return result < 0 ? result : vmt_report_args_at("--to", to, &wanted->build, err);
}

static int
read_options(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	static const char *const formats[] = {"text", "json", NULL};
	int result = 0;

	*wanted = (struct wanted){.build.symbols = true,
				  .top = VMT_TEXT_DEFAULT_TOP,
				  .callers = VMT_TEXT_DEFAULT_CALLERS};
	if (options->operand_count != 1)
		return vmt_err_set(err, EINVAL, "report needs one trace file");
	if (options->values[OPTION_SORT]) {
		result =
		    vmt_options_choose("--sort", options->values[OPTION_SORT], vmt_rank_words, err);
		wanted->rank = (enum vmt_rank_by)result;
	}
	if (result >= 0 && options->values[OPTION_FORMAT]) {
		result =
		    vmt_options_choose("--format", options->values[OPTION_FORMAT], formats, err);
		wanted->json = result == 1;
	}
	if (wanted->json)
		wanted->top = SIZE_MAX;
	if (result >= 0)
		result =
		    vmt_report_args_count("--top", options->values[OPTION_TOP], &wanted->top, err);
	if (result >= 0)
		result = vmt_report_args_count("--frames", options->values[OPTION_FRAMES],
					       &wanted->callers, err);
	if (result >= 0)
		result = read_moments(options, wanted, err);
	return result < 0 ? result : 0;
}

static int
print(const struct vmt_report *report, const char *path, const struct wanted *wanted,
      struct vmt_err *err)
{
	struct vmt_exec_traces images = {.next = ""};
	struct vmt_text_options text = {
	    .rank = wanted->rank, .top = wanted->top, .callers = wanted->callers};
	struct vmt_json_options json = {.rank = wanted->rank, .top = wanted->top};

	if (wanted->json)
		return vmt_json_print(report, &json, stdout, err);
	text.layout = vmt_terminal_layout();
	if (strcmp(report->process.end, "exec") == 0)
		vmt_exec_traces_find(&images, path, report->process.pid);
	text.next_image = images.next;
	text.last_image = images.last;
	vmt_text_report_print(report, &text);
	return 0;
}

static int
report_one(const char *path, const struct wanted *wanted, struct vmt_err *err)
{
	struct vmt_report *report = NULL;
	int result = vmt_progress_build(&report, path, &wanted->build, err);

	if (result == 0)
		result = print(report, path, wanted, err);
	vmt_report_free(report);
	return result;
}

static int
report_change(const char *path, const struct wanted *wanted, struct vmt_err *err)
{
	struct vmt_report *reports[2] = {NULL, NULL};
	int result = vmt_progress_build(&reports[0], path, &wanted->from, err);

	if (result == 0)
		result = vmt_progress_build(&reports[1], path, &wanted->build, err);
	if (result == 0)
		result =
		    vmt_compare_print(&(struct vmt_compare){.reports = {reports[0], reports[1]},
							    .paths = {path, path},
							    .at = VMT_AT_TIME,
							    .top = wanted->top,
							    .callers = wanted->callers,
							    .json = wanted->json},
				      err);
	vmt_report_free(reports[0]);
	vmt_report_free(reports[1]);
	return result;
}

int
vmt_cmd_report_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	struct wanted wanted = {.json = false};
	int result;

	result = vmt_options_parse(&options, vmt_cmd_report_options, argc, argv, false, err);
	if (result == 0)
		result = read_options(&options, &wanted, err);
	if (result < 0)
		return result;
	vmt_memory_limit_set_machine();
	if (!wanted.compares && vmt_trace_list_is_for(options.operands[0]))
		return vmt_trace_list_print(options.operands[0], VMT_TRACE_LIST_MOST,
					    options.values[OPTION_TOP] ? wanted.top : SIZE_MAX,
					    wanted.json, err);
	return wanted.compares ? report_change(options.operands[0], &wanted, err)
			       : report_one(options.operands[0], &wanted, err);
}
