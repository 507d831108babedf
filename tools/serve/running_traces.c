#include "tools/serve/running_traces.h"

#include "tools/cmd/trace_files.h"
#include "tools/read/trace/expand.h"
#include "tools/read/trace/process_end.h"
#include "tools/read/trace/trace_head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
free_trace(struct vmt_running_trace *trace)
{
	free(trace->path);
	free(trace->exe);
}

static int64_t
last_sign_of(const struct vmt_head *head)
{
	uint64_t ns = head->clock_last.monotonic_ns;

	if (head->heartbeat_ns > ns)
		ns = head->heartbeat_ns;
	return ns < INT64_MAX ? (int64_t)ns : INT64_MAX;
}

/* Without memory it is not served. */
static void
keep(struct vmt_running_traces *traces, const char *path, const struct vmt_head *head)
{
	struct vmt_running_trace *trace = &traces->all[traces->count];

	*trace = (struct vmt_running_trace){.path = strdup(path),
					    .exe = strndup(head->exe, VMT_EXE_BYTES),
					    .pid = head->pid,
					    .random_id = head->random_id,
					    .last_ns = last_sign_of(head)};
	if (trace->path && trace->exe) {
		traces->count++;
		return;
	}
	free_trace(trace);
	traces->unread++;
}

static void
look_at(struct vmt_running_traces *traces, const char *path)
{
	struct vmt_head head;
	struct vmt_err err = {""};

	if (vmt_expand_is_wanted_of(path)) /* no trace is that is being written */
		return;
	if (vmt_trace_head_of(path, &head, &err) < 0)
		traces->unread++;
	else if (vmt_process_end_runs(&head))
		keep(traces, path, &head);
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
			look_at(traces, files.all[i].path);
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
