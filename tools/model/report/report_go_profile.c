/* Live objects by the line that allocated them, out of the memory profile that a Go runtime keeps.
 */
#include "format/go_offsets.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/go_profile_chunk.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PATH_FRAMES 8u /* the line, and callers */
#define FEW_OBJECTS UINT64_C(16)

/* The objects of one size and stack. */
struct sample {
	struct vmt_frame path[PATH_FRAMES]; /* from the line that allocated on outwards */
	uint32_t frames;
	uint64_t sampled_objects;
	uint64_t sampled_bytes;
	double objects;
	double bytes;
};

struct samples {
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

/* What allocates for others is no answer to who did. */
static bool
is_runtime(const struct vmt_frame *frame)
{
	return frame->function && (strncmp(frame->function, "runtime.", 8) == 0 ||
				   strncmp(frame->function, "internal/runtime/", 17) == 0);
}

/* Addresses of calls that were inlined are in the list as well: of each only the innermost function
 * counts (runtime.CallersFrames). */
static int
name_address(struct vmt_frames *frames, uint64_t address, struct vmt_frame *frame)
{
	struct vmt_stack_frames stack;
	int status = vmt_frames_of_address(frames, address, &stack);

	if (!status)
		*frame = stack.frames[0];
	free(stack.frames);
	return status;
}

static int
name_sample(struct vmt_frames *frames, const uint64_t *addresses, uint32_t count,
	    struct sample *sample)
{
	uint32_t first = 0;
	int status = 0;

	for (; !status && first < count; first++) {
		status = name_address(frames, addresses[first], &sample->path[0]);
		if (!is_runtime(&sample->path[0]))
			break;
	}
	first = first == count ? 0 : first;
	for (uint32_t i = first; !status && i < count && sample->frames < PATH_FRAMES; i++)
		status = name_address(frames, addresses[i], &sample->path[sample->frames++]);
	return status;
}

static int
take_samples(struct samples *samples, const struct vmt_go_profile_read *profile,
	     struct vmt_frames *frames)
{
	const uint64_t *addresses = profile->addresses;
	int status = 0;

	samples->items = calloc((size_t)profile->head.rows + 1, sizeof(*samples->items));
	if (!samples->items)
		return -ENOMEM;
	for (uint64_t i = 0; !status && i < profile->head.rows; i++) {
		const struct vmt_go_profile_row *row = &profile->rows[i];
		struct sample *sample = &samples->items[samples->count++];
		double scale = scale_of(row->object_bytes, profile->head.rate_bytes);

		sample->sampled_objects = row->objects;
		sample->sampled_bytes = row->objects * row->object_bytes;
		sample->objects = (double)sample->sampled_objects * scale;
		sample->bytes = (double)sample->sampled_bytes * scale;
		status = name_sample(frames, addresses, row->frames, sample);
		addresses += row->frames;
	}
	return status;
}

/* Names are interned: the same one has the same address. */
static int
compare_frames(const struct vmt_frame *a, const struct vmt_frame *b)
{
	const uint64_t of_a[] = {(uintptr_t)a->function, (uintptr_t)a->file, a->line,
				 a->function ? 0 : a->address};
	const uint64_t of_b[] = {(uintptr_t)b->function, (uintptr_t)b->file, b->line,
				 b->function ? 0 : b->address};

	for (size_t i = 0; i < sizeof(of_a) / sizeof(of_a[0]); i++)
		if (of_a[i] != of_b[i])
			return of_a[i] < of_b[i] ? -1 : 1;
	return 0;
}

static int
compare_samples(const void *left, const void *right)
{
	const struct sample *a = left;
	const struct sample *b = right;

	return compare_frames(&a->path[0], &b->path[0]);
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

static bool
is_on_path(const struct sample *sample, const struct vmt_go_live *row)
{
	if (sample->frames <= row->stack.count)
		return false;
	for (size_t i = 1; i < row->stack.count; i++)
		if (compare_frames(&sample->path[i], &row->stack.frames[i]) != 0)
			return false;
	return true;
}

/* The caller through which most of what took the path came, if there is one: by a vote in which
 * every other one takes back as many bytes. */
static const struct vmt_frame *
vote(const struct sample *samples, size_t count, const struct vmt_go_live *row)
{
	const struct vmt_frame *best = NULL;
	double weight = 0;

	for (size_t i = 0; i < count; i++) {
		const struct vmt_frame *caller = &samples[i].path[row->stack.count];

		if (!is_on_path(&samples[i], row))
			continue;
		if (best && compare_frames(best, caller) == 0)
			weight += samples[i].bytes;
		else if (samples[i].bytes > weight) {
			best = caller;
			weight = samples[i].bytes - weight;
		} else
			weight -= samples[i].bytes;
	}
	return best;
}

/* One caller more, where more than half of the row's bytes came through it. */
static bool
extend(const struct sample *samples, size_t count, double all_bytes, struct vmt_go_live *row)
{
	const struct vmt_frame *caller =
	    row->stack.count < PATH_FRAMES ? vote(samples, count, row) : NULL;
	double bytes = 0;

	for (size_t i = 0; caller && i < count; i++)
		if (is_on_path(&samples[i], row) &&
		    compare_frames(&samples[i].path[row->stack.count], caller) == 0)
			bytes += samples[i].bytes;
	if (!caller || bytes <= all_bytes / 2)
		return false;
	row->stack.frames[row->stack.count++] = *caller;
	return true;
}

static int
fill_row(struct vmt_go_live *row, const struct sample *samples, size_t count)
{
	double objects = 0, bytes = 0;

	for (size_t i = 0; i < count; i++) {
		row->sampled_objects += samples[i].sampled_objects;
		row->sampled_bytes += samples[i].sampled_bytes;
		objects += samples[i].objects;
		bytes += samples[i].bytes;
	}
	row->objects = (uint64_t)fmin(objects, 0x1p62);
	row->bytes = (uint64_t)fmin(bytes, 0x1p62);
	if (samples[0].frames == 0)
		return 0;
	row->stack.frames = malloc(PATH_FRAMES * sizeof(*row->stack.frames));
	if (!row->stack.frames)
		return -ENOMEM;
	row->stack.frames[row->stack.count++] = samples[0].path[0];
	while (extend(samples, count, bytes, row))
		continue;
	return 0;
}

static int
make_rows(struct vmt_report *report, struct samples *samples)
{
	size_t end;

	qsort(samples->items, samples->count, sizeof(*samples->items), compare_samples);
	report->go.live = calloc(samples->count + 1, sizeof(*report->go.live));
	if (!report->go.live)
		return -ENOMEM;
	for (size_t i = 0; i < samples->count; i = end) {
		int status;

		for (end = i + 1; end < samples->count; end++)
			if (compare_samples(&samples->items[i], &samples->items[end]) != 0)
				break;
		status = fill_row(&report->go.live[report->go.live_count++], &samples->items[i],
				  end - i);
		if (status)
			return status;
	}
	qsort(report->go.live, report->go.live_count, sizeof(*report->go.live), compare_rows);
	return 0;
}

static int
fill_rows(struct vmt_report_draft *draft, const struct vmt_go_profile_read *profile)
{
	const struct vmt_frames_input input = {
	    .trace = draft->trace,
	    .history = draft->replay->history,
	    .sites = draft->replay->sites,
	    .strings = draft->strings,
	    .symbols = draft->options->symbols ? draft->names : NULL,
	};
	struct vmt_frames *frames = vmt_frames_new(&input);
	struct samples samples = {.items = NULL};
	int status = frames ? take_samples(&samples, profile, frames) : -ENOMEM;

	if (!status)
		status = make_rows(&draft->report, &samples);
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

#define UNWRITTEN_WORTH_SAYING_MIB UINT64_C(4)

/* The profile has sizes and lines, not addresses: two lines that allocate objects of one size can't
 * be kept apart among the spans. */
static int
cover_unwritten(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;
	const struct vmt_go_size *large = report->go.sizes;
	uint64_t mib;

	if (report->go.size_count == 0 || large->slot_bytes != 0 ||
	    large->committed_bytes > large->reserved_bytes)
		return 0;
	mib = (large->reserved_bytes - large->committed_bytes) >> 20;
	if (mib < UNWRITTEN_WORTH_SAYING_MIB)
		return 0;
	return vmt_report_coverage_add(draft,
				       "%" PRIu64
				       " MiB of Go's large objects are not in RAM: which "
				       "lines allocated just those is unknown",
				       mib);
}

static int
cover(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;
	int status = cover_unwritten(draft);

	if (status)
		return status;
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
