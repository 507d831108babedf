#include "tools/serve/running_traces.h"

#include "tools/cmd/trace_files.h"
#include "tools/model/tree/tree_scan.h"
#include "tools/read/trace/expand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_POINTS 2

/* Takes over the names of a process that runs. */
static void
keep(struct vmt_running_traces *traces, struct vmt_tree_process *process)
{
	traces->all[traces->count++] = (struct vmt_running_trace){.path = process->path,
								  .exe = process->exe,
								  .pid = process->pid,
								  .random_id = process->random_id,
								  .last_ns = process->last.time_ns};
	process->path = NULL;
	process->exe = NULL;
}

/* No trace is that is being written. To expand one takes long. */
static bool
is_compressed(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool is = fd >= 0 && vmt_expand_is_wanted(fd);

	if (fd >= 0)
		close(fd);
	return is;
}

static void
look_at(struct vmt_running_traces *traces, const struct vmt_tree_file *file)
{
	struct vmt_tree_process process = {.path = NULL};
	struct vmt_err err = {""};

	if (is_compressed(file->path))
		return;
	if (vmt_tree_scan(&process, file->path, file->name, LEAST_POINTS, &err) < 0) {
		traces->unread++;
		return;
	}
	if (vmt_tree_scan_runs(&process) && process.path && process.exe)
		keep(traces, &process);
	vmt_tree_scan_free(&process);
}

static int
by_id(const void *left, const void *right)
{
	const struct vmt_running_trace *a = left;
	const struct vmt_running_trace *b = right;

	if (a->random_id != b->random_id)
		return a->random_id < b->random_id ? -1 : 1;
	if (a->last_ns != b->last_ns)
		return a->last_ns > b->last_ns ? -1 : 1;
	return strcmp(a->path, b->path);
}

static int
by_path(const void *left, const void *right)
{
	const struct vmt_running_trace *a = left;
	const struct vmt_running_trace *b = right;

	return strcmp(a->path, b->path);
}

static void
free_trace(struct vmt_running_trace *trace)
{
	free(trace->path);
	free(trace->exe);
}

/* Of a trace and its copies the one that was written last stays. Traces of old have no id. */
static void
drop_copies(struct vmt_running_traces *traces)
{
	size_t kept = 0;

	if (!traces->all)
		return;
	qsort(traces->all, traces->count, sizeof(*traces->all), by_id);
	for (size_t i = 0; i < traces->count; i++) {
		struct vmt_running_trace *trace = &traces->all[i];

		if (kept > 0 && trace->random_id != 0 &&
		    trace->random_id == traces->all[kept - 1].random_id)
			free_trace(trace);
		else
			traces->all[kept++] = *trace;
	}
	traces->count = kept;
	qsort(traces->all, traces->count, sizeof(*traces->all), by_path);
}

int
vmt_running_traces_find(struct vmt_running_traces *traces, char *directory,
			struct vmt_quarantine *quarantine, struct vmt_err *err)
{
	char *operands[] = {directory};
	struct vmt_trace_files files;
	int result = vmt_trace_files_find(&files, operands, 1, VMT_TRACE_FILES_MOST, err);

	*traces = (struct vmt_running_traces){.unread = files.passed_over};
	if (result == -ENOENT && vmt_trace_files_is_directory(directory)) {
		err->text[0] = '\0'; /* none yet */
		result = 0;
	}
	if (result == 0 && files.count > 0)
		traces->all = calloc(files.count, sizeof(*traces->all));
	if (result == 0 && files.count > 0 && !traces->all)
		result = vmt_err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; traces->all && i < files.count; i++)
		if (vmt_quarantine_enter(quarantine, files.all[i].path)) {
			look_at(traces, &files.all[i]);
			vmt_quarantine_leave(quarantine);
		} else {
			traces->left_out++;
			traces->unread++;
		}
	drop_copies(traces);
	vmt_trace_files_free(&files);
	return result;
}

void
vmt_running_traces_free(struct vmt_running_traces *traces)
{
	for (size_t i = 0; i < traces->count; i++)
		free_trace(&traces->all[i]);
	free(traces->all);
}
