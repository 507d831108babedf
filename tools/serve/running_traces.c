#include "tools/serve/running_traces.h"

#include "tools/cmd/trace_files.h"
#include "tools/model/tree/tree_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_POINTS 2

/* Takes over the names of a process that runs. */
static void
keep(struct vmt_running_traces *traces, struct vmt_tree_process *process)
{
	traces->all[traces->count++] = (struct vmt_running_trace){
	    .path = process->path, .exe = process->exe, .pid = process->pid};
	process->path = NULL;
	process->exe = NULL;
}

static void
look_at(struct vmt_running_traces *traces, const struct vmt_tree_file *file)
{
	struct vmt_tree_process process = {.path = NULL};
	struct vmt_err err = {""};

	if (vmt_tree_scan(&process, file->path, file->name, LEAST_POINTS, &err) < 0) {
		traces->unread++;
		return;
	}
	if (strcmp(process.end, "running") == 0 && process.path && process.exe)
		keep(traces, &process);
	vmt_tree_scan_free(&process);
}

int
vmt_running_traces_find(struct vmt_running_traces *traces, char *directory, struct vmt_err *err)
{
	char *operands[] = {directory};
	struct vmt_trace_files files;
	int result = vmt_trace_files_find(&files, operands, 1, VMT_TRACE_FILES_MOST, err);

	*traces = (struct vmt_running_traces){.count = 0};
	if (result == -ENOENT && vmt_trace_files_is_directory(directory)) {
		err->text[0] = '\0'; /* none yet */
		result = 0;
	}
	if (result == 0 && files.count > 0)
		traces->all = calloc(files.count, sizeof(*traces->all));
	if (result == 0 && files.count > 0 && !traces->all)
		result = vmt_err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; traces->all && i < files.count; i++)
		look_at(traces, &files.all[i]);
	vmt_trace_files_free(&files);
	return result;
}

void
vmt_running_traces_free(struct vmt_running_traces *traces)
{
	for (size_t i = 0; i < traces->count; i++) {
		free(traces->all[i].path);
		free(traces->all[i].exe);
	}
	free(traces->all);
}
