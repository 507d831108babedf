#include "tools/cmd/cmd.h"
#include "tools/cmd/compare.h"
#include "tools/cmd/fail_over.h"
#include "tools/cmd/progress.h"
#include "tools/cmd/report_args.h"
#include "tools/memory_limit.h"
#include "tools/render/text_report.h"

#include <errno.h>
#include <stdio.h>

enum {
	OPTION_AT,
	OPTION_TOP,
	OPTION_FRAMES,
	OPTION_FORMAT,
	OPTION_OUTPUT,
	OPTION_FAIL_OVER,
	OPTION_SYSROOT,
	OPTION_FOCUS
};

const struct vmt_option vmt_cmd_diff_options[] = {
    {"at", 0, "WHEN",
     "moment in each: peak (default; end if it still runs), end, time since start"},
    {"top", 'n', "N", "rows of call sites (default 12; json: all)"},
    {"frames", 0, "N", "callers below each row (default 3)"},
    {"format", 'f', "FORMAT", "text (default), json, html"},
    {"output", 'o', "FILE", "write to FILE (default: -, standard output)"},
    {"fail-over", 0, "LIMITS", "status 1 beyond: committed=10%, rss=64MiB, reserved=, virtual="},
    VMT_REPORT_ARGS_SYSROOT,
    VMT_REPORT_ARGS_PATTERNS,
    {0},
};

struct wanted {
	const char *paths[2];
	struct vmt_report_options build;
	struct vmt_fail_over limits;
	bool has_limits;
	size_t top;
	size_t callers;
	const struct vmt_compare_format *format;
	struct vmt_selection_patterns patterns;
};

static int
read_options(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	int result;

	if (options->operand_count != 2)
		return vmt_err_set(err, EINVAL, "diff needs two trace files, A and B");
	*wanted = (struct wanted){.paths = {options->operands[0], options->operands[1]},
				  .build.symbols = true,
				  .has_limits = options->values[OPTION_FAIL_OVER],
				  .callers = VMT_TEXT_DEFAULT_CALLERS};
	wanted->format = vmt_compare_find_format(options->values[OPTION_FORMAT], err);
	if (!wanted->format)
		return -EINVAL;
	wanted->top = wanted->format->top;
	wanted->build.history = wanted->format->history;
	result = vmt_report_args_count("--top", options->values[OPTION_TOP], &wanted->top, err);
	if (result >= 0)
		result = vmt_report_args_count("--frames", options->values[OPTION_FRAMES],
					       &wanted->callers, err);
	if (result >= 0)
		result =
		    vmt_report_args_at("--at", options->values[OPTION_AT], &wanted->build, err);
	if (wanted->build.at == VMT_AT_DEFAULT)
		wanted->build.at = VMT_AT_COMPARED;
	if (wanted->build.at == VMT_AT_PEAK)
		wanted->build.at = VMT_AT_PLATEAU;
	if (result >= 0)
		result = vmt_report_args_sysroot(options->values[OPTION_SYSROOT],
						 &wanted->build.sysroot, err);
	if (result >= 0 && wanted->has_limits)
		result =
		    vmt_fail_over_parse(&wanted->limits, options->values[OPTION_FAIL_OVER], err);
	wanted->patterns.callers = wanted->callers;
	if (result >= 0)
		result = vmt_report_args_patterns(&options->values[OPTION_FOCUS], &wanted->patterns,
						  err);
	return result < 0 ? result : 0;
}

static int
compare(const struct wanted *wanted, const char *output, struct vmt_err *err)
{
	const struct vmt_selection_patterns *patterns =
	    vmt_report_args_has_patterns(&wanted->patterns) ? &wanted->patterns : NULL;
	struct vmt_report *reports[2] = {NULL, NULL};
	int result = 0;

	vmt_memory_limit_set_machine();
	for (int i = 0; i < 2 && result == 0; i++)
		result = vmt_progress_build(&reports[i], wanted->paths[i], &wanted->build, err);
	if (result == 0)
		result = vmt_compare_write(
		    &(struct vmt_compare){.reports = {reports[0], reports[1]},
					  .paths = {wanted->paths[0], wanted->paths[1]},
					  .output = output,
					  .at = wanted->build.at,
					  .limits = wanted->has_limits ? &wanted->limits : NULL,
					  .top = wanted->top,
					  .callers = wanted->callers,
					  .format = wanted->format,
					  .patterns = patterns},
		    err);
	vmt_report_free(reports[0]);
	vmt_report_free(reports[1]);
	return result;
}

int
vmt_cmd_diff_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	struct wanted wanted = {.format = NULL};
	int result;

	result = vmt_options_parse(&options, vmt_cmd_diff_options, argc, argv, false, err);
	if (result == 0)
		result = read_options(&options, &wanted, err);
	if (result == 0)
		result = compare(&wanted, options.values[OPTION_OUTPUT], err);
	vmt_report_args_patterns_free(&wanted.patterns);
	return result;
}
