#include "tools/cmd/compare.h"

#include "tools/cmd/exec_traces.h"
#include "tools/cmd/options.h"
#include "tools/cmd/output.h"
#include "tools/cmd/terminal.h"
#include "tools/cmd/version.h"
#include "tools/model/diff/diff_build.h"
#include "tools/model/diff/diff_verdict.h"
#include "tools/page/report_page.h"
#include "tools/render/diff_group_rows.h"
#include "tools/render/diff_headline.h"
#include "tools/render/diff_json.h"
#include "tools/render/diff_text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#define STATUS_EXCEEDED 1

static int
write_text(const struct vmt_diff *diff, const struct vmt_diff_selection *selection,
	   const struct vmt_compare *compare, FILE *out, struct vmt_err *err)
{
	struct vmt_diff_text_options text = {.layout = vmt_terminal_paged(out),
					     .paths = {compare->paths[0], compare->paths[1]},
					     .top = compare->top,
					     .callers = compare->callers,
					     .selection = selection};

	(void)err;
	vmt_diff_text_print(diff, &text);
	return 0;
}

static int
write_json(const struct vmt_diff *diff, const struct vmt_diff_selection *selection,
	   const struct vmt_compare *compare, FILE *out, struct vmt_err *err)
{
	struct vmt_diff_json_options json = {.paths = {compare->paths[0], compare->paths[1]},
					     .top = compare->top,
					     .selection = selection};

	return vmt_diff_json_print(diff, &json, out, err);
}

/* All rows: what is left out is chosen in the page. */
static int
write_html(const struct vmt_diff *diff, const struct vmt_diff_selection *selection,
	   const struct vmt_compare *compare, FILE *out, struct vmt_err *err)
{
	char headline[VMT_LAYOUT_LINE_BYTES];
	struct vmt_view_data data = {.reports = {diff->a, diff->b},
				     .paths = {compare->paths[0], compare->paths[1]},
				     .diff = diff,
				     .headline = headline,
				     .version = VMT_VERSION_TEXT};

	(void)selection;
	vmt_diff_headline_write(diff, headline, sizeof(headline));
	return vmt_report_page_write(&data, out, err);
}

const struct vmt_compare_format vmt_compare_formats[] = {
    {"text", VMT_DIFF_TEXT_DEFAULT_TOP, write_text, false},
    {"json", SIZE_MAX, write_json, false},
    {"html", SIZE_MAX, write_html, true},
    {0},
};

#define FORMATS (sizeof(vmt_compare_formats) / sizeof(*vmt_compare_formats))

const struct vmt_compare_format *
vmt_compare_find_format(const char *name, struct vmt_err *err)
{
	const char *names[FORMATS];
	int found;

	for (size_t i = 0; i < FORMATS; i++)
		names[i] = vmt_compare_formats[i].name;
	found = name ? vmt_options_choose("--format", name, names, err) : 0;
	return found < 0 ? NULL : &vmt_compare_formats[found];
}

static int
write_selected(const struct vmt_diff *diff, const struct vmt_compare *compare, FILE *out,
	       struct vmt_err *err)
{
	struct vmt_diff_selection selection;
	int result;

	if (!compare->patterns)
		return compare->format->write(diff, NULL, compare, out, err);
	if (vmt_diff_selection_make(&selection, compare->patterns, diff) < 0)
		return vmt_err_set(err, ENOMEM, "out of memory");
	result = compare->format->write(diff, &selection, compare, out, err);
	vmt_diff_selection_free(&selection);
	return result;
}

static int
write_diff(const struct vmt_diff *diff, const struct vmt_compare *compare, struct vmt_err *err)
{
	const char *inputs[] = {compare->paths[0], compare->paths[1], NULL};
	struct vmt_output output;
	int result = vmt_output_open(&output, compare->output, false, false, inputs, err);

	if (result < 0)
		return result;
	result = write_selected(diff, compare, output.file, err);
	return vmt_output_close(&output, result, err);
}

static void
find_continuation(struct vmt_diff_continuation *continues, struct vmt_exec_traces *images,
		  const struct vmt_report *report, const char *path)
{
	if (!vmt_diff_is_replaced(report))
		return;
	vmt_exec_traces_find(images, path, report->process.pid);
	*continues = (struct vmt_diff_continuation){images->next, images->last};
}

int
vmt_compare_write(const struct vmt_compare *compare, struct vmt_err *err)
{
	struct vmt_diff *diff = NULL;
	struct vmt_diff_rows owners = {.count = 0};
	struct vmt_exec_traces images[2];
	int result;

	if (compare->format->write == write_html && vmt_selection_is_partial(compare->patterns))
		return vmt_err_set(err, EINVAL,
				   "--focus, --ignore and --match do not go with --format html, "
				   "which has all rows");
	vmt_selection_hide(compare->patterns, compare->reports[0]);
	vmt_selection_hide(compare->patterns, compare->reports[1]);
	result = vmt_diff_build(&diff, compare->reports[0], compare->reports[1], compare->at, err);
	/* The verdict names what a report's first sentence would: without callers. */
	if (result == 0 && vmt_diff_group_rows_merge(&owners, diff, 0))
		vmt_diff_verdict_judge(diff, &owners);
	if (result == 0) {
		find_continuation(&diff->continues_a, &images[0], diff->a, compare->paths[0]);
		find_continuation(&diff->continues_b, &images[1], diff->b, compare->paths[1]);
		result = write_diff(diff, compare, err);
	}
	if (result == 0 && compare->limits)
		result = vmt_fail_over_check(compare->limits, diff, err);
	vmt_diff_group_rows_free(&owners);
	vmt_diff_free(diff);
	return result > 0 ? STATUS_EXCEEDED : result;
}
