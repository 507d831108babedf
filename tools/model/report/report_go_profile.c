/* Live objects by the line that allocated them, out of the memory profile that a Go runtime keeps.
 */
#include "format/go_offsets.h"
#include "tools/model/report/go_lines.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/go_profile_chunk.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FEW_OBJECTS UINT64_C(16)

/* The objects of one size and stack. */
struct sample {
	uint64_t sampled_objects;
	uint64_t sampled_bytes;
	double objects;
	double bytes;
};

struct samples {
	struct vmt_go_line *lines; /* item: index of the next */
	struct sample *items;
	size_t count;
};

/* By the rate of now, which may not be that of then. Of all objects of one size, one in 1 / (1 -
 * exp(-size / rate)) is sampled: so pprof has it (scaleHeapSample of runtime/pprof/protomem.go). */
static double
scale_of(uint64_t object_bytes, uint64_t rate_bytes)
{
	return rate_bytes <= 1 ? 1 : 1 / -expm1(-(double)object_bytes / (double)rate_bytes);
}

static int
take_samples(struct samples *samples, const struct vmt_go_profile_read *profile,
	     struct vmt_frames *frames)
{
	const uint64_t *addresses = profile->addresses;
	int status = 0;

	samples->lines = calloc((size_t)profile->head.rows + 1, sizeof(*samples->lines));
	samples->items = calloc((size_t)profile->head.rows + 1, sizeof(*samples->items));
	if (!samples->lines || !samples->items)
		return -ENOMEM;
	for (uint64_t i = 0; !status && i < profile->head.rows; i++) {
		const struct vmt_go_profile_row *row = &profile->rows[i];
		struct vmt_go_line *line = &samples->lines[samples->count];
		struct sample *sample = &samples->items[samples->count];
		double scale = scale_of(row->object_bytes, profile->head.rate_bytes);

		sample->sampled_objects = row->objects;
		sample->sampled_bytes = row->objects * row->object_bytes;
		sample->objects = (double)sample->sampled_objects * scale;
		sample->bytes = (double)sample->sampled_bytes * scale;
		line->bytes = sample->bytes;
		line->item = samples->count++;
		status = vmt_go_lines_name(line, frames, addresses, row->frames);
		addresses += row->frames;
	}
	return status;
}

static int
compare_rows(const void *left, const void *right)
{
	const struct vmt_go_live *a = left;
	const struct vmt_go_live *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return (a->objects < b->objects) - (a->objects > b->objects);
}

static int
fill_row(struct vmt_go_live *row, const struct samples *samples, size_t first, size_t count)
{
	double objects = 0, bytes = 0;

	for (size_t i = 0; i < count; i++) {
		const struct sample *sample = &samples->items[samples->lines[first + i].item];

		row->sampled_objects += sample->sampled_objects;
		row->sampled_bytes += sample->sampled_bytes;
		objects += sample->objects;
		bytes += sample->bytes;
	}
	row->objects = (uint64_t)fmin(objects, 0x1p62);
	row->bytes = (uint64_t)fmin(bytes, 0x1p62);
	return vmt_go_lines_stack(samples->lines + first, count, &row->stack);
}

static int
make_rows(struct vmt_report *report, struct samples *samples)
{
	size_t alike;
	int status = 0;

	vmt_go_lines_sort(samples->lines, samples->count);
	report->go.live = calloc(samples->count + 1, sizeof(*report->go.live));
	if (!report->go.live)
		return -ENOMEM;
	for (size_t i = 0; i < samples->count && !status; i += alike) {
		alike = vmt_go_lines_alike(samples->lines + i, samples->count - i);
		status = fill_row(&report->go.live[report->go.live_count++], samples, i, alike);
	}
	qsort(report->go.live, report->go.live_count, sizeof(*report->go.live), compare_rows);
	return status;
}

static int
fill_rows(struct vmt_report_draft *draft, const struct vmt_go_profile_read *profile)
{
	struct vmt_frames *frames = vmt_report_go_frames(draft);
	struct samples samples = {.items = NULL};
	int status = frames ? take_samples(&samples, profile, frames) : -ENOMEM;

	if (!status)
		status = make_rows(&draft->report, &samples);
	free(samples.lines);
	free(samples.items);
	vmt_frames_free(frames);
	return status;
}

/* Of that chunk; false: it can't be read. */
static bool
read_chunk(const struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
	   struct vmt_go_profile_read *profile)
{
	struct vmt_err err = {{0}};
	const unsigned char *bytes;
	size_t length;

	return vmt_trace_payload(draft->trace, chunk, &bytes, &length, &err) == 0 &&
	       vmt_go_profile_chunk_read(profile, &chunk->header, bytes, length, &err) == 0;
}

/* The rows that a chunk without any points back to. */
static bool
read_same(const struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
	  struct vmt_go_profile_read *profile)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	const struct vmt_go_profile_head head = profile->head;

	while (chunk-- > chunks) {
		if (chunk->header.kind != VMT_CHUNK_GO_PROFILE)
			continue;
		vmt_go_profile_chunk_free(profile);
		if (!read_chunk(draft, chunk, profile))
			return false;
		if (profile->head.flags & VMT_GO_PROFILE_SAME || profile->head.rows == 0)
			continue;
		profile->head.flags = head.flags;
		profile->head.rate_bytes = head.rate_bytes;
		profile->head.known = head.known;
		profile->head.unread = head.unread;
		return true;
	}
	return false;
}

/* The profile of the report's snapshot. */
static bool
read_profile(const struct vmt_report_draft *draft, struct vmt_go_profile_read *profile)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	const struct vmt_trace_chunk *chunk = draft->chosen;

	while (draft->joined && chunk-- > chunks && chunk->header.kind != VMT_CHUNK_SNAPSHOT) {
		if (chunk->header.kind != VMT_CHUNK_GO_PROFILE)
			continue;
		if (!read_chunk(draft, chunk, profile))
			return false;
		if (profile->head.snapshot != draft->snapshot.head.index)
			vmt_go_profile_chunk_free(profile);
		else
			return !(profile->head.flags & VMT_GO_PROFILE_SAME) ||
			       read_same(draft, chunk, profile);
	}
	return false;
}

static bool
is_named(const struct vmt_go *go)
{
	for (uint32_t i = 0; i < go->objects_count; i++)
		if (strcmp(go->objects[i].symbol, VMT_GO_PROFILE_SYMBOL) == 0)
			return true;
	return false;
}

/* A runtime that keeps no profile may have sampled a few objects before it was told so. */
static bool
is_kept(const struct vmt_go_profile_read *profile)
{
	uint64_t sampled = 0;

	for (uint64_t i = 0; i < profile->head.rows && sampled <= FEW_OBJECTS; i++)
		sampled += profile->rows[i].objects < FEW_OBJECTS ? profile->rows[i].objects
								  : FEW_OBJECTS + 1;
	return profile->head.rate_bytes != 0 || sampled > FEW_OBJECTS;
}

/* Why there are no rows; NULL: there are, or could be. */
static const char *
find_reason(const struct vmt_report_draft *draft, const struct vmt_go_profile_read *profile)
{
	const struct vmt_go *go = &vmt_trace_head(draft->trace)->go;

	if (!profile->rows)
		return !draft->joined ? "no snapshot has Go's memory profile"
		       : !vmt_go_offsets_of(go->version)
			   ? "the memory profile of this Go version is unknown"
		       : is_named(go) ? "Go's memory profile was not read with this snapshot"
				      : "where the Go runtime keeps its memory profile is unknown";
	if (profile->head.flags & VMT_GO_PROFILE_TOO_DEAR)
		return "reading Go's memory profile would have taken more than the collector's CPU "
		       "budget";
	if (profile->head.flags & VMT_GO_PROFILE_UNSTEADY)
		return "the Go runtime changed its memory profile each time that it was read";
	if (!is_kept(profile))
		return "the program keeps no memory profile (runtime.MemProfileRate is 0, as the "
		       "linker sets it "
		       "where nothing reads the profile). To have it kept: vmtrace record "
		       "--go-heap";
	return NULL;
}

static int
cover(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;

	if (report->go.unprofiled)
		return vmt_report_coverage_add(draft, "live objects by Go line are unknown: %s",
					       report->go.unprofiled);
	if (report->go.profile_unread)
		return vmt_report_coverage_add(
		    draft,
		    "%" PRIu64 " of %" PRIu64 " entries of Go's memory profile changed while they "
		    "were read: live objects by Go line lack them",
		    report->go.profile_unread, report->go.profile_entries);
	return 0;
}

/* A few samples scatter. */
#define BEYOND_HEAP 4.0

void
vmt_report_go_profile_settle(struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	double heap_bytes = (double)figures->heap_in_use_bytes + (double)figures->heap_idle_bytes;
	double bytes = 0;

	for (size_t i = 0; i < report->go.live_count; i++)
		bytes += (double)report->go.live[i].bytes;
	if (report->go.profile_rate_bytes <= 1 || figures->heap_in_use_bytes == 0 ||
	    figures->heap_in_use_bytes == VMT_FIGURE_UNKNOWN ||
	    figures->heap_idle_bytes == VMT_FIGURE_UNKNOWN || bytes <= heap_bytes * BEYOND_HEAP)
		return;
	report->go.is_unscaled = true;
	for (size_t i = 0; i < report->go.live_count; i++) {
		report->go.live[i].objects = report->go.live[i].sampled_objects;
		report->go.live[i].bytes = report->go.live[i].sampled_bytes;
	}
	qsort(report->go.live, report->go.live_count, sizeof(*report->go.live), compare_rows);
}

int
vmt_report_go_profile_fill(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	struct vmt_go_profile_read profile = {.rows = NULL};
	int status = 0;

	if (!read_profile(draft, &profile))
		vmt_go_profile_chunk_free(&profile);
	report->go.unprofiled = find_reason(draft, &profile);
	report->go.profile_rate_bytes = profile.head.rate_bytes;
	report->go.profile_entries = profile.head.known;
	report->go.profile_unread = profile.head.unread;
	report->go.is_uncollected = (profile.head.flags & VMT_GO_PROFILE_UNCOLLECTED) != 0;
	if (!report->go.unprofiled)
		status = fill_rows(draft, &profile);
	if (!status)
		vmt_report_go_profile_settle(report);
	vmt_go_profile_chunk_free(&profile);
	return status ? status : cover(draft);
}

void
vmt_report_go_profile_free(struct vmt_report *report)
{
	for (size_t i = 0; i < report->go.live_count; i++)
		free(report->go.live[i].stack.frames);
	free(report->go.live);
}
