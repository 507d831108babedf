#include "tools/cmd/tree_report.h"

#include "tools/cmd/output.h"
#include "tools/cmd/report_args.h"
#include "tools/cmd/terminal.h"
#include "tools/cmd/trace_files.h"
#include "tools/cmd/tree_owners.h"
#include "tools/model/tree/tree_build.h"
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

static int
print(const struct vmt_tree *tree, const struct vmt_tree_report *wanted, bool is_json, FILE *out,
      struct vmt_err *err)
{
	const char *where = wanted->operand_count == 1 ? wanted->operands[0] : NULL;
	struct vmt_tree_text_options text = {.where = where, .top = VMT_TEXT_DEFAULT_TOP};
	size_t top = SIZE_MAX;
	int result = vmt_report_args_count("--top", wanted->top, is_json ? &top : &text.top, err);

	if (result < 0)
		return result;
	if (is_json)
		return vmt_tree_json_print(tree, where, top, out, err);
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
		vmt_tree_owners_find(*tree, VMT_TEXT_DEFAULT_TOP, OWNERS_NS);
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
	    const struct vmt_tree_options *options, bool is_json, struct vmt_err *err)
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
		result = print(tree, wanted, is_json, output.file, err);
	vmt_tree_free(tree);
	return vmt_output_close(&output, result, err);
}

static int
write_tree(const struct vmt_tree_report *wanted, const struct vmt_tree_options *options,
	   bool is_json, struct vmt_err *err)
{
	struct vmt_trace_files files;
	int result = vmt_trace_files_find(&files, wanted->operands, wanted->operand_count,
					  wanted->most, err);

	if (result == 0)
		result = write_files(wanted, &files, options, is_json, err);
	else if (result == -EINVAL)
		result = -EBADMSG;
	vmt_trace_files_free(&files);
	return result;
}

int
vmt_tree_report_write(const struct vmt_tree_report *wanted, struct vmt_err *err)
{
	static const char *const formats[] = {"text", "json", NULL};
	static const char *const groups[] = {"title", "exe", NULL};
	struct vmt_tree_options options = {.group_by = VMT_TREE_BY_TITLE};
	int format = 0;
	int group = 0;

	if (wanted->format)
		format = vmt_options_choose("--format (of several traces)", wanted->format, formats,
					    err);
	if (format >= 0 && wanted->group)
		group = vmt_options_choose("--group", wanted->group, groups, err);
	if (format < 0 || group < 0)
		return format < 0 ? format : group;
	options.group_by = group == 1 ? VMT_TREE_BY_EXE : VMT_TREE_BY_TITLE;
	return write_tree(wanted, &options, format == 1, err);
}
