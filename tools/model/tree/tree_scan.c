#include "tools/model/tree/tree_scan.h"

#include "format/codec.h"
#include "tools/read/trace/oom_kills.h"
#include "tools/read/trace/process_end.h"
#include "tools/read/trace/rss_peak.h"
#include "tools/read/trace/trace.h"
#include "tools/read/trace/untraced_records.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a process without a trace has less of moves no moment. */
#define LITTLE_BYTES (UINT64_C(64) << 10)

struct line {
	uint64_t leaves_ns; /* of a last snapshot, or 0 */
	struct vmt_rss_peak peak;
	struct vmt_oom_kills kills;
	struct vmt_tree_point *points;
	size_t count;
	size_t room;
	size_t most;
	uint64_t stride; /* readings for each point */
	uint64_t filled; /* of the last point */
	struct vmt_tree_point last;
};

/* Two neighbours become one, that with more RSS. */
static void
halve(struct line *line)
{
	size_t kept = 0;

	for (size_t i = 0; i < line->count; i += 2) {
		struct vmt_tree_point point = line->points[i];

		if (i + 1 < line->count && line->points[i + 1].rss_bytes > point.rss_bytes)
			point = line->points[i + 1];
		line->points[kept++] = point;
	}
	line->filled += line->count % 2 ? 0 : line->stride;
	line->count = kept;
	line->stride *= 2;
}

static bool
has_room(struct line *line)
{
	size_t room = line->room ? line->room * 2 : 16;
	struct vmt_tree_point *points;

	if (line->count < line->room)
		return true;
	if (room > line->most)
		room = line->most;
	points = realloc(line->points, room * sizeof(*points));
	if (!points)
		return false;
	line->points = points;
	line->room = room;
	return true;
}

static bool
add_point(struct line *line, uint64_t monotonic_ns, uint64_t rss_bytes, uint64_t counted_bytes)
{
	struct vmt_tree_point point = {(int64_t)(monotonic_ns & INT64_MAX),
				       vmt_tree_figure(rss_bytes)};

	vmt_rss_peak_add(&line->peak, monotonic_ns, rss_bytes, counted_bytes);
	if (rss_bytes == VMT_FIGURE_UNKNOWN)
		return true;
	if (point.time_ns >= line->last.time_ns)
		line->last = point;
	if (line->count > 0 && line->filled < line->stride) {
		if (rss_bytes > line->points[line->count - 1].rss_bytes)
			line->points[line->count - 1] = point;
		line->filled++;
		return true;
	}
	if (line->count == line->most)
		halve(line);
	if (!has_room(line))
		return false;
	line->points[line->count++] = point;
	line->filled = 1;
	return true;
}

static bool
add_usages(struct line *line, const struct vmt_trace_chunk *chunk, const unsigned char *bytes,
	   size_t length)
{
	struct vmt_usage usage;

	for (size_t at = 0, step; at < length; at += step) {
		step = vmt_codec_get_usage(&chunk->header, bytes + at, length - at, &usage);
		if (step == 0)
			break;
		vmt_oom_kills_add(&line->kills, usage.cgroup_oom_kills);
		if (!add_point(line, usage.monotonic_ns, usage.rss_bytes, usage.peak_rss_bytes))
			return false;
	}
	return true;
}

static bool
add_chunk(struct line *line, struct vmt_trace *trace, const struct vmt_trace_chunk *chunk)
{
	struct vmt_snapshot_head head;
	struct vmt_err err = {""};
	const unsigned char *bytes;
	size_t length;

	if (chunk->header.kind != VMT_CHUNK_USAGE && chunk->header.kind != VMT_CHUNK_SNAPSHOT)
		return true;
	if (vmt_trace_payload(trace, chunk, &bytes, &length, &err) < 0)
		return true;
	if (chunk->header.kind == VMT_CHUNK_USAGE)
		return add_usages(line, chunk, bytes, length);
	if (vmt_codec_get_snapshot_head(&chunk->header, bytes, length, &head) == 0 ||
	    head.source == VMT_RESIDENCY_NONE)
		return true;
	if (head.reason == VMT_SNAPSHOT_EXIT)
		line->leaves_ns = head.monotonic_ns;
	return add_point(line, head.monotonic_ns, head.resident_bytes, head.peak_rss_bytes);
}

static int
by_time(const void *left, const void *right)
{
	const struct vmt_tree_point *a = left;
	const struct vmt_tree_point *b = right;

	return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

static bool
read_line(struct vmt_tree_process *process, struct vmt_trace *trace, size_t most_points)
{
	struct line line = {.most = most_points,
			    .stride = 1,
			    .peak.at_start_bytes = vmt_trace_head(trace)->start_peak_rss_bytes};
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);
	bool done = true;

	assert(most_points >= 2);
	for (size_t i = 0; i < count && done; i++) {
		done = add_chunk(&line, trace, &chunks[i]);
		process->tells_untraced |= chunks[i].header.kind == VMT_CHUNK_UNTRACED;
	}
	process->points = line.points;
	process->point_count = line.count;
	process->last = line.last;
	process->leaves_ns = (int64_t)(line.leaves_ns & INT64_MAX);
	if (!done)
		return false;
	process->peak_rss_bytes = vmt_rss_peak_bytes(&line.peak);
	process->end = vmt_trace_end(trace, &process->end_status);
	if (vmt_oom_kills_ended(&line.kills, process->end, process->end_status))
		process->end = "oom";
	/* Usages are written later than snapshots that were taken later. */
	if (line.count > 1)
		qsort(line.points, line.count, sizeof(*line.points), by_time);
	return true;
}

struct spans {
	struct vmt_tree_process *process;
	size_t most;
};

static bool
add_span(void *context, const struct vmt_untraced *record)
{
	struct spans *spans = context;
	struct vmt_tree_process *process = spans->process;
	size_t count = process->untraced_count;
	struct vmt_tree_span *all;

	if (record->private_bytes == VMT_FIGURE_UNKNOWN || record->private_bytes < LITTLE_BYTES ||
	    record->start_ns > INT64_MAX)
		return true;
	all = reallocarray(process->untraced, count + 1, sizeof(*all));
	if (!all)
		return false;
	process->untraced = all;
	all[process->untraced_count++] =
	    (struct vmt_tree_span){(int64_t)record->start_ns, vmt_untraced_records_end(record),
				   vmt_tree_figure(record->private_bytes)};
	return process->untraced_count < spans->most;
}

/* The bytes of the last title of a trace, until the next payload of it; false where it has none. */
static bool
find_title(struct vmt_trace *trace, const void **bytes, size_t *length)
{
	const struct vmt_trace_chunk *last = NULL;
	const unsigned char *payload;
	struct vmt_err err = {""};
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_TITLE)
			last = &chunks[i];
	if (!last || vmt_trace_payload(trace, last, &payload, length, &err) < 0)
		return false;
	if (*length > VMT_CMDLINE_BYTES)
		*length = VMT_CMDLINE_BYTES;
	*bytes = payload;
	return *length > 0;
}

/* Words without the NULs between them. To be freed. */
static char *
words(const void *bytes, size_t length)
{
	char *text = calloc(1, length + 1);

	if (!text)
		return NULL;
	memcpy(text, bytes, length);
	while (length > 0 && (text[length - 1] == '\0' || text[length - 1] == ' '))
		text[--length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (!text[i])
			text[i] = ' ';
	return text;
}

static bool
read_names(struct vmt_tree_process *process, struct vmt_trace *trace, const char *path,
	   const char *name)
{
	const struct vmt_head *head = vmt_trace_head(trace);
	const void *title = head->exe;
	size_t length = strnlen(head->exe, VMT_EXE_BYTES);

	if (head->cmdline_bytes > 0) {
		title = head->cmdline;
		length = head->cmdline_bytes < VMT_CMDLINE_BYTES ? head->cmdline_bytes
								 : VMT_CMDLINE_BYTES;
	}
	(void)find_title(trace, &title, &length);
	process->title = words(title, length);
	process->exe = strndup(head->exe, VMT_EXE_BYTES);
	process->path = strdup(path);
	process->name = strdup(name);
	return process->title && process->exe && process->path && process->name;
}

/* The end of an image, or the last that is known of it. */
static int64_t
end_of(const struct vmt_tree_process *process, const struct vmt_trace *trace)
{
	const struct vmt_chunk_end *end = vmt_trace_end_chunk(trace);
	uint64_t last_ns = vmt_trace_head(trace)->clock_last.monotonic_ns;

	if (strcmp(process->end, "running") == 0 || process->is_snapshot)
		return INT64_MAX;
	if (end && end->monotonic_ns > last_ns)
		last_ns = end->monotonic_ns;
	for (size_t i = 0; i < process->point_count; i++)
		if ((uint64_t)process->points[i].time_ns > last_ns)
			last_ns = (uint64_t)process->points[i].time_ns;
	return last_ns < INT64_MAX ? (int64_t)last_ns : INT64_MAX - 1;
}

/* A process that was only looked at began before its trace did. Its start counts from the boot on,
 * also what a suspended machine slept. */
static int64_t
start_of(const struct vmt_head *head)
{
	int64_t began_ns = (int64_t)(head->clock_start.monotonic_ns & INT64_MAX);
	int64_t tick_ns = INT64_C(1000000000) / sysconf(_SC_CLK_TCK);

	if (!(head->notes & VMT_NOTE_SNAPSHOT) ||
	    head->start_ticks > (uint64_t)(began_ns / tick_ns))
		return began_ns;
	return (int64_t)head->start_ticks * tick_ns;
}

static void
read_identity(struct vmt_tree_process *process, const struct vmt_trace *trace)
{
	const struct vmt_head *head = vmt_trace_head(trace);

	process->pid = head->pid;
	process->parent_pid = head->parent_pid;
	process->start_ticks = head->start_ticks;
	memcpy(process->boot_id, head->boot_id, sizeof(process->boot_id));
	process->namespace = head->collector_pid_namespace;
	process->random_id = head->random_id;
	process->forked_from = head->forked_from;
	process->is_outside = head->notes & VMT_NOTE_OUTSIDE;
	process->start_unix_ns = head->start_unix_ns;
	process->clock = head->clock;
	process->start_time = head->clock_start.ticks;
	process->start_ns = start_of(head);
	process->is_unseen = vmt_process_end_is_elsewhere(head) || vmt_process_end_is_hidden(head);
	process->is_attached = (head->notes & VMT_NOTE_ATTACHED) != 0;
	process->is_snapshot = (head->notes & VMT_NOTE_SNAPSHOT) != 0;
	if (process->is_snapshot) /* the recording did, and the process ran on */
		process->end = "snapshot";
	process->end_ns = end_of(process, trace);
	if (process->leaves_ns == 0 || process->leaves_ns > process->end_ns)
		process->leaves_ns = process->end_ns;
}

int
vmt_tree_scan(struct vmt_tree_process *process, const char *path, const char *name,
	      size_t most_points, struct vmt_err *err)
{
	struct vmt_trace *trace;
	int result = vmt_trace_open_without_stacks(&trace, path, err);
	bool done;

	if (result < 0)
		return result;
	*process = (struct vmt_tree_process){.parent = VMT_TREE_NONE, .continued = VMT_TREE_NONE};
	done = read_names(process, trace, path, name) && read_line(process, trace, most_points);
	if (done)
		read_identity(process, trace);
	if (done && process->tells_untraced)
		vmt_untraced_records_each(trace, add_span, &(struct spans){process, most_points});
	vmt_trace_close(trace);
	if (done)
		return 0;
	vmt_tree_scan_free(process);
	return vmt_err_set(err, ENOMEM, "%s: out of memory", path);
}

void
vmt_tree_scan_free(struct vmt_tree_process *process)
{
	free(process->path);
	free(process->name);
	free(process->exe);
	free(process->title);
	free(process->points);
	free(process->untraced);
	free(process->owner);
	for (size_t i = 0; i < process->inherited_count; i++)
		free(process->inherited[i].call);
	free(process->inherited);
}
