#include "tools/cmd/cmd.h"
#include "tools/cmd/mapped_trace.h"
#include "tools/cmd/output.h"
#include "tools/cmd/progress.h"
#include "tools/cmd/report_args.h"
#include "tools/cmd/report_formats.h"
#include "tools/cmd/snapshot_pids.h"
#include "tools/cmd/snapshot_several.h"
#include "tools/cmd/snapshot_take.h"
#include "tools/memory_limit.h"
#include "tools/render/text_report.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_REFUSED 1

enum { OPTION_OUTPUT, OPTION_FORMAT, OPTION_TOP, OPTION_TREE };

const struct vmt_option vmt_cmd_snapshot_options[] = {
    {"output", 'o', "FILE", "write a trace to FILE (several: to the directory FILE)"},
    {"format", 'f', "FORMAT",
     "print as text (default), json, html ...: as report; with -o into it"},
    {"top", 'n', "N", "rows of each list (default 12; json: all)"},
    {"tree", 0, NULL, "with all that descend from the processes"},
    {0},
};

/* Where its files are found under the names that it has mapped, if not here: a mount namespace of
 * its own has others. Of a process that has only changed its root, the names are as they are here.
 */
static const char *
root_of(uint32_t pid, char *root, size_t room)
{
	char link[64], exe[PATH_MAX], below[PATH_MAX + 64];
	struct stat here, there, program;
	ssize_t length;

	snprintf(root, room, "/proc/%" PRIu32 "/root", pid);
	snprintf(link, sizeof(link), "/proc/%" PRIu32 "/exe", pid);
	length = readlink(link, exe, sizeof(exe) - 1);
	if (length <= 0 || stat("/", &here) < 0 || stat(root, &there) < 0 ||
	    (here.st_dev == there.st_dev && here.st_ino == there.st_ino))
		return NULL;
	exe[length] = '\0';
	snprintf(below, sizeof(below), "%s%s", root, exe);
	if (stat(link, &program) < 0 || stat(below, &there) < 0 || program.st_dev != there.st_dev ||
	    program.st_ino != there.st_ino)
		return NULL;
	return root;
}

/* It tells more of itself. */
static void
mention_recording(uint32_t pid)
{
	struct vmt_mapped_trace trace = {.state = VMT_MAPPED_TRACE_NONE};

	if (vmt_mapped_trace_find(&trace, pid) == 0 && trace.state == VMT_MAPPED_TRACE_OWN &&
	    !trace.is_aside)
		fprintf(stderr,
			"vmtrace: process %" PRIu32 " is being recorded: vmtrace report %s tells "
			"the calls as well\n",
			pid, trace.path);
}

static int
print_report(uint32_t pid, int trace_fd, const struct vmt_report_format *format,
	     const struct vmt_options *options, FILE *out, struct vmt_err *err)
{
	char path[64], root[64], name[64];
	struct vmt_report_options build = {.symbols = true,
					   .history = format->history,
					   .sysroot = root_of(pid, root, sizeof(root))};
	struct vmt_report_view view = {.path = name,
				       .top = format->top,
				       .callers = VMT_TEXT_DEFAULT_CALLERS,
				       .metric = VMT_METRIC_COMMITTED_SPACE};
	struct vmt_report *report = NULL;
	int result = vmt_report_args_count("--top", options->values[OPTION_TOP], &view.top, err);

	if (result < 0)
		return result;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", trace_fd);
	snprintf(name, sizeof(name), "process %" PRIu32, pid);
	vmt_memory_limit_set_machine();
	result = vmt_progress_build(&report, path, &build, err);
	if (result == 0)
		result = format->write(report, &view, out, err);
	vmt_report_free(report);
	return result;
}

static int
take_and_print(uint32_t pid, const struct vmt_report_format *format,
	       const struct vmt_options *options, FILE *out, struct vmt_err *err)
{
	int fd = vmt_snapshot_take_nameless(pid, err);
	int result;

	if (fd < 0)
		return STATUS_REFUSED;
	mention_recording(pid);
	result = print_report(pid, fd, format, options, out, err);
	close(fd);
	return result;
}

static int
print_one(uint32_t pid, const struct vmt_options *options, struct vmt_err *err)
{
	static const char *const no_inputs[] = {NULL};
	const struct vmt_report_format *format =
	    vmt_report_formats_find(options->values[OPTION_FORMAT], err);
	struct vmt_output output;
	int result, closed;

	if (!format)
		return -EINVAL;
	result = vmt_output_open(&output, options->values[OPTION_OUTPUT], format->is_binary, false,
				 no_inputs, err);
	if (result < 0)
		return result;
	result = take_and_print(pid, format, options, output.file, err);
	/* Of one that was refused nothing takes the file's place. */
	closed = vmt_output_close(&output, result == STATUS_REFUSED ? -ESRCH : result, err);
	return result == STATUS_REFUSED ? result : closed;
}

static int
write_one(uint32_t pid, const char *path, struct vmt_err *err)
{
	int result = vmt_snapshot_take_file(pid, path, err);

	if (result < 0)
		return result == -EINVAL ? result : STATUS_REFUSED;
	mention_recording(pid);
	fprintf(stderr, "vmtrace: next: vmtrace report %s\n", path);
	return 0;
}

static int
take(const struct vmt_options *options, const struct vmt_snapshot_pids *pids, struct vmt_err *err)
{
	const char *output = options->values[OPTION_OUTPUT];
	const char *format = options->values[OPTION_FORMAT];

	if (pids->count > 1)
		return vmt_snapshot_several_take(
		    &(struct vmt_snapshot_several){.pids = pids,
						   .directory = output,
						   .format = format,
						   .top = options->values[OPTION_TOP]},
		    err);
	if (output && strcmp(output, "-") != 0 && !format)
		return write_one(pids->all[0], output, err);
	return print_one(pids->all[0], options, err);
}

int
vmt_cmd_snapshot_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	struct vmt_snapshot_pids pids = {.all = NULL};
	int result = vmt_options_parse(&options, vmt_cmd_snapshot_options, argc, argv, false, err);

	if (result == 0 && options.operand_count == 0)
		result = vmt_err_set(err, EINVAL, "snapshot needs a process id");
	if (result == 0)
		result = vmt_snapshot_pids_read(&pids, options.operands, options.operand_count,
						options.values[OPTION_TREE] != NULL, err);
	if (result == 0)
		result = take(&options, &pids, err);
	vmt_snapshot_pids_free(&pids);
	return result;
}
