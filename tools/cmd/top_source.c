#include "tools/cmd/top_source.h"

#include "base/procfs.h"
#include "base/ticks.h"
#include "tools/cmd/mapped_trace.h"
#include "tools/cmd/progress.h"
#include "tools/cmd/snapshot_take.h"
#include "tools/cmd/top_attach.h"
#include "tools/cmd/top_directory.h"
#include "tools/cmd/trace_files.h"
#include "tools/model/report/live_report.h"
#include "tools/model/report/report_build.h"
#include "tools/read/trace/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one reading of several traces may take. */
#define DIRECTORY_NS UINT64_C(100000000)

enum kind {
	OF_TRACE,
	OF_PROCESS, /* not recorded */
	OF_DIRECTORY,
};

struct vmt_top_source {
	enum kind kind;
	uint32_t pid;	    /* OF_PROCESS */
	uint64_t opened_ns; /* likewise; CLOCK_MONOTONIC */
	uint64_t start_ticks;
	bool is_unrecorded; /* as far as its mappings tell */
	struct vmt_top_directory *directory;
	struct vmt_report_options build;
	char *path; /* OF_TRACE, like the next two */
	bool is_read;
	struct vmt_live_report *live;
	bool attaches;
	struct vmt_top_attach *attach; /* NULL: to none */
};

static bool
is_number(const char *text)
{
	size_t length = strspn(text, "0123456789");

	return length > 0 && length < 10 && text[length] == '\0' && access(text, F_OK) != 0;
}

/* By which a process is known from a later one of the same number; 0: it is gone. */
static uint64_t
start_of(uint32_t pid)
{
	struct vmt_procfs_stat stat = {.start_ticks = 0};
	int fd = vmt_procfs_open(pid, "stat");

	if (fd < 0)
		return 0;
	if (!vmt_procfs_read_stat(fd, &stat))
		stat.start_ticks = 0;
	close(fd);
	return stat.start_ticks;
}

static int
open_trace(struct vmt_top_source *source, const char *path, struct vmt_err *err)
{
	source->kind = OF_TRACE;
	source->path = strdup(path);
	if (!source->path)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", path);
	return vmt_live_report_open(&source->live, path, &source->build, err);
}

static int
attach_to(struct vmt_top_source *source, struct vmt_err *err)
{
	int result = vmt_top_attach_begin(&source->attach, source->pid, err);

	return result == 0 ? open_trace(source, vmt_top_attach_trace(source->attach), err) : result;
}

/* The trace that it writes, else itself. */
static int
find_process(struct vmt_top_source *source, const char *operand, struct vmt_err *err)
{
	struct vmt_mapped_trace trace = {.state = VMT_MAPPED_TRACE_NONE};

	source->pid = (uint32_t)strtoul(operand, NULL, 10);
	if (vmt_mapped_trace_find(&trace, source->pid) == 0 &&
	    trace.state == VMT_MAPPED_TRACE_OWN && !trace.is_aside) {
		return open_trace(source, trace.path, err);
	}
	if (source->attaches)
		return attach_to(source, err);
	source->kind = OF_PROCESS;
	source->opened_ns = vmt_ticks_monotonic_ns();
	source->start_ticks = start_of(source->pid);
	source->is_unrecorded =
	    trace.state != VMT_MAPPED_TRACE_OWN && trace.state != VMT_MAPPED_TRACE_UNREADABLE;
	return vmt_snapshot_take_check(source->pid, err);
}

static int
find(struct vmt_top_source *source, char *const *operands, int count, struct vmt_err *err)
{
	if (source->attaches && (count > 1 || !is_number(operands[0])))
		return vmt_err_set(err, EINVAL, "--attach takes the number of one process");
	if (count > 1 || vmt_trace_files_is_directory(operands[0])) {
		source->kind = OF_DIRECTORY;
		return vmt_top_directory_open(&source->directory, operands, count, DIRECTORY_NS,
					      err);
	}
	if (is_number(operands[0]))
		return find_process(source, operands[0], err);
	return open_trace(source, operands[0], err);
}

int
vmt_top_source_open(struct vmt_top_source **out, char *const *operands, int count,
		    const char *sysroot, bool attaches, struct vmt_err *err)
{
	struct vmt_top_source *source = calloc(1, sizeof(*source));
	int result;

	*out = NULL;
	if (!source)
		return vmt_err_set(err, ENOMEM, "out of memory");
	source->build = (struct vmt_report_options){
	    .at = VMT_AT_END, .symbols = true, .no_growth = true, .sysroot = sysroot};
	source->attaches = attaches;
	result = find(source, operands, count, err);
	if (result == 0)
		*out = source;
	else
		vmt_top_source_close(source);
	return result;
}

void
vmt_top_source_close(struct vmt_top_source *source)
{
	if (!source)
		return;
	vmt_top_directory_close(source->directory);
	vmt_live_report_close(source->live);
	vmt_top_attach_end(source->attach);
	free(source->path);
	free(source);
}

static int
write_reading(void *context, const struct vmt_report *report, FILE *out)
{
	struct vmt_top_reading reading;
	int result = vmt_top_reading_make(&reading, report);

	(void)context;
	return result == 0 ? vmt_top_reading_write(&reading, out) : result;
}

/* It may be still being written. */
static int
read_growing(struct vmt_top_source *source, struct vmt_top_reading *reading, struct vmt_err *err)
{
	char *bytes;
	size_t length;
	int result = vmt_live_report_make(source->live, write_reading, NULL, &bytes, &length, err);

	if (result == 0 && vmt_top_reading_read(reading, bytes, length) < 0) {
		vmt_top_reading_free(reading);
		result = vmt_err_set(err, ENOMEM, "no memory for what there is to show");
	}
	free(bytes);
	return result;
}

/* The report is freed. */
static int
take_report(struct vmt_top_reading *reading, struct vmt_report *report, const char *path,
	    struct vmt_err *err)
{
	int result = vmt_top_reading_make(reading, report);

	vmt_report_free(report);
	if (result == 0)
		return 0;
	vmt_top_reading_free(reading);
	return vmt_err_set(err, ENOMEM, "%s: out of memory", path);
}

/* False also where it can't be read. */
static bool
has_ended(const char *path)
{
	struct vmt_trace *trace;
	struct vmt_err err = {""};
	bool has_end;

	if (vmt_trace_open_without_stacks(&trace, path, &err) < 0)
		return false;
	has_end = vmt_trace_end_chunk(trace) != NULL;
	vmt_trace_close(trace);
	return has_end;
}

/* One that has ended is read once, as a report reads it, with what reports keep. */
static int
read_trace(struct vmt_top_source *source, struct vmt_top_reading *reading, struct vmt_err *err)
{
	struct vmt_report *report;
	bool is_whole = !source->is_read && has_ended(source->path);
	int result;

	source->is_read = true;
	if (!is_whole)
		return read_growing(source, reading, err);
	result = vmt_progress_build(&report, source->path, &source->build, err);
	return result == 0 ? take_report(reading, report, source->path, err) : result;
}

/* One that is whole. */
static int
read_snapshot(const struct vmt_top_source *source, const char *path,
	      struct vmt_top_reading *reading, struct vmt_err *err)
{
	struct vmt_report *report;
	int result = vmt_report_build(&report, path, &source->build, err);

	return result == 0 ? take_report(reading, report, path, err) : result;
}

/* Times count from the first look on. */
static int
read_process(struct vmt_top_source *source, struct vmt_top_reading *reading, struct vmt_err *err)
{
	char path[64];
	int result;
	int fd;

	if (start_of(source->pid) != source->start_ticks)
		return vmt_err_set(err, ESRCH, "process %" PRIu32 " has ended", source->pid);
	fd = vmt_snapshot_take_nameless(source->pid, err);
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	result = read_snapshot(source, path, reading, err);
	close(fd);
	if (result == 0) {
		reading->time_ns = (int64_t)(vmt_ticks_monotonic_ns() - source->opened_ns);
		reading->is_live = true;
		reading->goes_on = true;
		if (source->is_unrecorded)
			snprintf(reading->state, sizeof(reading->state),
				 "not recorded: classes alone");
	}
	return result;
}

int
vmt_top_source_read(struct vmt_top_source *source, struct vmt_top_reading *reading,
		    struct vmt_err *err)
{
	if (source->kind == OF_DIRECTORY)
		return vmt_top_directory_read(source->directory, reading, err);
	if (source->kind == OF_PROCESS)
		return read_process(source, reading, err);
	return read_trace(source, reading, err);
}

bool
vmt_top_source_is_attached(const struct vmt_top_source *source)
{
	return source->attach != NULL;
}

enum vmt_top_view
vmt_top_source_view(const struct vmt_top_source *source)
{
	return source->kind == OF_DIRECTORY ? VMT_TOP_PROCESSES
	       : source->kind == OF_PROCESS ? VMT_TOP_CLASSES
					    : VMT_TOP_SITES;
}
