#include "tools/model/report.h"
#include "tools/cmd/asked.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/images.h"
#include "tools/cmd/progress.h"
#include "tools/cmd/screen.h"
#include "tools/out/json.h"
#include "tools/out/text.h"
#include "tools/read/bounds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_SORT, OPTION_TOP, OPTION_AT, OPTION_FORMAT };

const struct vmt_option vmt_report_options[] = {
    {"sort", 's', "FIGURE", "committed (default), gap, reserved, released, count"},
    {"top", 'n', "N", "rows of each list (default 12; json: all sites)"},
    {"at", 0, "WHEN", "peak (default), end, or a time since the start: 1.5s, 300ms"},
    {"format", 'f', "FORMAT", "text (default), json"},
    {0},
};

struct wanted {
	struct vmt_report_options build;
	enum vmt_rank_by rank;
	size_t top;
	bool json;
};

static int
read_options(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	static const char *const formats[] = {"text", "json", NULL};
	int result = 0;

	*wanted = (struct wanted){
	    .build.symbols = true, .build.cached = true, .top = VMT_TEXT_DEFAULT_TOP};
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
		result = vmt_asked_top(options->values[OPTION_TOP], &wanted->top, err);
	if (result >= 0)
		result = vmt_asked_at(options->values[OPTION_AT], &wanted->build, err);
	return result < 0 ? result : 0;
}

static int
print(const struct vmt_report *report, const char *path, const struct wanted *wanted,
      struct vmt_err *err)
{
	struct vmt_images images = {.next = ""};
	struct vmt_text_options text = {.rank = wanted->rank, .top = wanted->top};
	struct vmt_json_options json = {.rank = wanted->rank, .top = wanted->top};

	if (wanted->json)
		return vmt_json_print(report, &json, stdout, err);
	text.layout = vmt_screen_layout();
	if (strcmp(report->process.end, "exec") == 0)
		vmt_images_find(&images, path, report->process.pid);
	text.next_image = images.next;
	text.last_image = images.last;
	vmt_text_print(report, &text);
	return 0;
}

int
vmt_report_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	struct vmt_report *report = NULL;
	struct wanted wanted = {.json = false};
	int result;

	result = vmt_options_parse(&options, vmt_report_options, argc, argv, false, err);
	if (result == 0)
		result = read_options(&options, &wanted, err);
	if (result < 0)
		return result;
	vmt_bounds_memory_of_machine();
	result = vmt_progress_build(&report, options.operands[0], &wanted.build, err);
	if (result == 0)
		result = print(report, options.operands[0], &wanted, err);
	vmt_report_free(report);
	return result;
}
