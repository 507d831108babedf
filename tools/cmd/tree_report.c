#include "tools/cmd/tree_report.h"

#include "tools/cmd/output.h"
#include "tools/cmd/report_args.h"
#include "tools/cmd/report_formats.h"
#include "tools/cmd/terminal.h"
#include "tools/cmd/trace_files.h"
#include "tools/cmd/tree_owners.h"
#include "tools/cmd/version.h"
#include "tools/model/tree/tree_build.h"
#include "tools/model/tree/tree_line.h"
#include "tools/page/tree_page.h"
#include "tools/render/text_options.h"
#include "tools/render/tree_json.h"
#include "tools/render/tree_text.h"

#include <errno.h>
#include <stdlib.h>

#define OWNERS_NS UINT64_C(3000000000)

bool
vmt_tree_report_is_for(char *const *operands, int count)
{
	return count > 1 || (count == 1 && vmt_trace_files_is_directory(operands[0]));
}

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_HTML };

static int
print_page(struct vmt_tree *tree, const char *where, size_t top, FILE *out, struct vmt_err *err)
{
	struct vmt_tree_page page = {
	    .tree = tree, .where = where, .version = VMT_VERSION_TEXT, .most_rows = top};

	if (!vmt_tree_line_fill(tree, VMT_TREE_LINE_POINTS))
		return vmt_err_set(err, ENOMEM, "out of memory for the HTML report");
	return vmt_tree_page_write(&page, out, err);
}

static int
print(struct vmt_tree *tree, const struct vmt_tree_report *wanted, enum format format, FILE *out,
      struct vmt_err *err)
{
	const char *where =
	    wanted->operand_count == 1 && !wanted->has_no_place ? wanted->operands[0] : NULL;
	struct vmt_tree_text_options text = {.where = where, .top = VMT_TEXT_DEFAULT_TOP};
	size_t top = SIZE_MAX;
	int result = vmt_report_args_count("--top", wanted->top,
					   format == FORMAT_TEXT ? &text.top : &top, err);

	if (result < 0)
		return result;
	if (format == FORMAT_JSON)
		return vmt_tree_json_print(tree, where, top, out, err);
	if (format == FORMAT_HTML)
		return print_page(tree, where, top, out, err);
	text.layout = vmt_terminal_paged(out);
	vmt_tree_text_print(tree, &text);
	return 0;
}

/* EINVAL is a wrong command line's alone. */
static int
build(struct vmt_tree **tree, const struct vmt_tree_report *wanted,
      const struct vmt_trace_files *files, const struct vmt_tree_options *options,
      struct vmt_err *err)
{
	struct vmt_err why = {""};
	int result = vmt_tree_build(tree, files->all, files->count, options, &why);

	if (result < 0 && *why.text && wanted->operand_count == 1)
		result = vmt_err_set(
		    err, -result, "%s: none of its traces (*.vmt) can be read, the first: %.200s",
		    wanted->operands[0], why.text);
	else if (result < 0 && *why.text)
		result = vmt_err_set(err, -result, "%s", why.text);
	if (result == 0) {
		(*tree)->passed_over = files->passed_over;
		vmt_tree_owners_find(*tree, VMT_TEXT_DEFAULT_TOP, OWNERS_NS, wanted->sysroot);
	}
	return result == -EINVAL ? -EBADMSG : result;
}

/* Every file that is read is an input, the files of a directory too. Freed by the caller. */
static const char **
inputs_of(const struct vmt_trace_files *files)
{
	const char **inputs = calloc(files->count + 1, sizeof(*inputs));

	for (size_t i = 0; inputs && i < files->count; i++)
		inputs[i] = files->all[i].path;
	return inputs;
}

static int
write_files(const struct vmt_tree_report *wanted, const struct vmt_trace_files *files,
	    const struct vmt_tree_options *options, enum format format, struct vmt_err *err)
{
	const char **inputs = inputs_of(files);
	struct vmt_tree *tree = NULL;
	struct vmt_output output;
	int result;

	if (!inputs)
		return vmt_err_set(err, ENOMEM, "out of memory");
	result = vmt_output_open(&output, wanted->output, false, false, inputs, err);
	free((void *)inputs);
	if (result < 0)
		return result;
	result = build(&tree, wanted, files, options, err);
	if (result == 0)
		result = print(tree, wanted, format, output.file, err);
	vmt_tree_free(tree);
	return vmt_output_close(&output, result, err);
}

static int
write_tree(const struct vmt_tree_report *wanted, const struct vmt_tree_options *options,
	   enum format format, struct vmt_err *err)
{
	struct vmt_trace_files files;
	int result = vmt_trace_files_find(&files, wanted->operands, wanted->operand_count,
					  wanted->most, err);

	if (result == 0)
		result = write_files(wanted, &files, options, format, err);
	else if (result == -EINVAL)
		result = -EBADMSG;
	vmt_trace_files_free(&files);
	return result;
}

static int
choose_moment(const char *text, struct vmt_tree_options *options, struct vmt_err *err)
{
	struct vmt_report_options moment = {.at_time_ns = 0};
	int result = vmt_report_args_at("--at", text, &moment, err);

	if (result < 0)
		return result;
	if (moment.at == VMT_AT_CLOCK)
		return vmt_err_set(
		    err, EINVAL,
		    "--at: a time of day goes with one trace; of several it is peak, "
		    "end, or a time since the start of each tree");
	options->at = moment.at == VMT_AT_PEAK	 ? VMT_TREE_AT_PEAK
		      : moment.at == VMT_AT_END	 ? VMT_TREE_AT_END
		      : moment.at == VMT_AT_TIME ? VMT_TREE_AT_TIME
						 : VMT_TREE_AT_DEFAULT;
	options->at_time_ns = moment.at_time_ns < 0 ? INT64_MAX : moment.at_time_ns;
	return 0;
}

/* One of those that there are of one trace alone. */
static int
choose_format(const char *text, struct vmt_err *err)
{
	static const char *const formats[] = {"text", "json", "html", NULL};
	struct vmt_err why = {""};
	int format = vmt_options_choose("--format (of several traces)", text, formats, &why);

	if (format >= 0)
		return format;
	if (vmt_report_formats_find(text, &(struct vmt_err){""}))
		return vmt_err_set(err, EINVAL,
				   "--format %s goes with one trace: the list (vmtrace report DIR) "
				   "names them. Several traces have text, json, html",
				   text);
	return vmt_err_set(err, EINVAL, "%s", why.text);
}

int
vmt_tree_report_write(const struct vmt_tree_report *wanted, struct vmt_err *err)
{
	static const char *const groups[] = {"title", "exe", NULL};
	struct vmt_tree_options options = {.group_by = VMT_TREE_BY_TITLE};
	int format = 0;
	int group = 0;
	int result;

	if (wanted->format)
		format = choose_format(wanted->format, err);
	if (format >= 0 && wanted->group)
		group = vmt_options_choose("--group", wanted->group, groups, err);
	if (format < 0 || group < 0)
		return format < 0 ? format : group;
	result = choose_moment(wanted->at, &options, err);
	if (result < 0)
		return result;
	options.group_by = group == 1 ? VMT_TREE_BY_EXE : VMT_TREE_BY_TITLE;
	return write_tree(wanted, &options, (enum format)format, err);
}
