#include "format/codec.h"
#include "format/go_offsets.h"
#include "tools/model/report/report_draft.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
vmt_report_go_heap_read(const struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
			uint32_t snapshot, struct vmt_go_heap *heap)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	struct vmt_err err = {{0}};
	const unsigned char *bytes;
	size_t length;

	*heap = (struct vmt_go_heap){.spans = NULL};
	while (chunk-- > chunks && chunk->header.kind != VMT_CHUNK_SNAPSHOT) {
		if (chunk->header.kind != VMT_CHUNK_GO_HEAP)
			continue;
		if (vmt_trace_payload(draft->trace, chunk, &bytes, &length, &err) ||
		    vmt_go_heap_chunk_read(heap, &chunk->header, bytes, length, &err))
			return false;
		if (heap->head.snapshot == snapshot)
			return true;
		vmt_go_heap_chunk_free(heap);
	}
	return false;
}

bool
vmt_report_go_heap_is_read(const struct vmt_go_heap *heap)
{
	return heap->spans && !(heap->head.flags & (VMT_GO_HEAP_TOO_DEAR | VMT_GO_HEAP_UNSTEADY));
}

static bool
has_heap_object(const struct vmt_go *go)
{
	for (uint32_t i = 0; i < go->objects_count; i++)
		if (strcmp(go->objects[i].symbol, VMT_GO_HEAP_SYMBOL) == 0)
			return true;
	return false;
}

/* Why the inside of the heap is not known; NULL: no memory for the words. */
static const char *
find_reason(struct vmt_report_draft *draft, const struct vmt_go *go)
{
	const struct vmt_go_heap_head *head = &draft->go_heap.head;
	char text[256];

	if (!draft->joined)
		return "no snapshot has it";
	if (!draft->go_heap.spans) {
		if (!vmt_go_offsets_of(go->version))
			return "the layout of this Go version's heap is unknown";
		if (has_heap_object(go))
			return "it was not read with this snapshot";
		return go->flags & VMT_GO_STRIPPED
			   ? "the program is stripped (-ldflags -s): its heap was not found"
			   : "who recorded did not read it";
	}
	if (head->flags & VMT_GO_HEAP_UNSTEADY)
		return "the runtime changed its list of spans each time that it was read";
	snprintf(text, sizeof(text),
		 "reading its %" PRIu64 " spans and %" PRIu64
		 " goroutines would have taken more than the collector's CPU budget",
		 head->spans_known, head->goroutines_known);
	return vmt_string_set_intern(draft->strings, text, strlen(text));
}

/* Rows by the size of slots; 0: large objects. */
static struct vmt_go_size *
size_row(struct vmt_report *report, const struct vmt_go_span *span)
{
	for (size_t i = 0; i < report->go.size_count; i++)
		if (report->go.sizes[i].slot_bytes == span->slot_bytes)
			return &report->go.sizes[i];
	if (report->go.size_count == VMT_GO_SPAN_CLASSES)
		return NULL; /* no runtime has so many */
	report->go.sizes[report->go.size_count] =
	    (struct vmt_go_size){.slot_bytes = span->slot_bytes};
	return &report->go.sizes[report->go.size_count++];
}

static int
compare_sizes(const void *left, const void *right)
{
	const struct vmt_go_size *a = left;
	const struct vmt_go_size *b = right;

	return (a->slot_bytes > b->slot_bytes) - (a->slot_bytes < b->slot_bytes);
}

static int
fill_sizes(struct vmt_report_draft *draft, const struct vmt_resident *resident)
{
	struct vmt_report *report = &draft->report;
	const struct vmt_go_heap *heap = &draft->go_heap;

	report->go.sizes = calloc(VMT_GO_SPAN_CLASSES, sizeof(*report->go.sizes));
	if (!report->go.sizes)
		return -ENOMEM;
	for (uint64_t i = 0; i < heap->head.spans; i++) {
		const struct vmt_go_span *span = &heap->spans[i];
		struct vmt_go_size *row =
		    span->class < VMT_GO_SPAN_CLASSES ? size_row(report, span) : NULL;
		uint64_t committed;

		if (!row)
			continue;
		row->spans++;
		row->objects += span->allocated;
		row->reserved_bytes += span->bytes;
		row->object_bytes +=
		    span->allocated * (span->slot_bytes ? span->slot_bytes : span->bytes);
		committed = vmt_resident_range(resident, span->start, span->start + span->bytes)
				.bytes[VMT_AMOUNT_COMMITTED];
		row->committed_bytes += committed;
		if (!span->slot_bytes)
			*(span->needs_zero ? &report->go.reused_large_committed_bytes
					   : &report->go.fresh_large_committed_bytes) += committed;
	}
	qsort(report->go.sizes, report->go.size_count, sizeof(*report->go.sizes), compare_sizes);
	return 0;
}

static int
compare_goroutines(const void *left, const void *right)
{
	const struct vmt_go_goroutine *a = left;
	const struct vmt_go_goroutine *b = right;
	bool a_ended = a->status == VMT_GO_DEAD;
	bool b_ended = b->status == VMT_GO_DEAD;

	if (a_ended != b_ended)
		return a_ended ? 1 : -1;
	return (a->creator > b->creator) - (a->creator < b->creator);
}

/* Those that have ended are one row, whoever started them. */
static bool
is_of_row(const struct vmt_go_creator *row, const struct vmt_go_goroutine *goroutine)
{
	if (row->has_ended || goroutine->status == VMT_GO_DEAD)
		return row->has_ended && goroutine->status == VMT_GO_DEAD;
	return row->address == goroutine->creator;
}

static int
compare_creators(const void *left, const void *right)
{
	const struct vmt_go_creator *a = left;
	const struct vmt_go_creator *b = right;

	if (a->committed_bytes != b->committed_bytes)
		return a->committed_bytes < b->committed_bytes ? 1 : -1;
	return (a->address > b->address) - (a->address < b->address);
}

static int
fill_creators(struct vmt_report_draft *draft, const struct vmt_resident *resident)
{
	struct vmt_report *report = &draft->report;
	const struct vmt_go_heap *heap = &draft->go_heap;
	struct vmt_go_creator *row = NULL;

	qsort(heap->goroutines, heap->head.goroutines, sizeof(*heap->goroutines),
	      compare_goroutines);
	report->go.creators =
	    calloc((size_t)heap->head.goroutines + 1, sizeof(*report->go.creators));
	if (!report->go.creators)
		return -ENOMEM;
	for (uint64_t i = 0; i < heap->head.goroutines; i++) {
		const struct vmt_go_goroutine *goroutine = &heap->goroutines[i];

		if (!row || !is_of_row(row, goroutine)) {
			row = &report->go.creators[report->go.creator_count++];
			row->has_ended = goroutine->status == VMT_GO_DEAD;
			row->address = row->has_ended ? 0 : goroutine->creator;
		}
		row->goroutines++;
		row->reserved_bytes += goroutine->high - goroutine->low;
		row->committed_bytes +=
		    vmt_resident_range(resident, goroutine->low, goroutine->high)
			.bytes[VMT_AMOUNT_COMMITTED];
	}
	qsort(report->go.creators, report->go.creator_count, sizeof(*report->go.creators),
	      compare_creators);
	return 0;
}

struct vmt_frames *
vmt_report_go_frames(struct vmt_report_draft *draft)
{
	const struct vmt_frames_input input = {
	    .trace = draft->trace,
	    .history = draft->replay->history,
	    .sites = draft->replay->sites,
	    .strings = draft->strings,
	    .symbols = draft->options->symbols ? draft->names : NULL,
	};

	return vmt_frames_new(&input);
}

static int
name_creators(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	struct vmt_frames *frames = vmt_report_go_frames(draft);
	int status = frames ? 0 : -ENOMEM;

	for (size_t i = 0; i < report->go.creator_count && !status; i++)
		if (report->go.creators[i].address)
			status = vmt_frames_of_address(frames, report->go.creators[i].address,
						       &report->go.creators[i].stack);
	vmt_frames_free(frames);
	return status;
}

static int
fill_heap(struct vmt_report_draft *draft)
{
	const struct vmt_go_heap_head *head = &draft->go_heap.head;
	struct vmt_report *report = &draft->report;
	struct vmt_resident resident = {0};
	int status = vmt_resident_open(&resident, draft->snapshot.runs, draft->snapshot.head.runs);

	report->go.spans = head->spans;
	report->go.spans_unread = head->spans_unread;
	report->go.goroutines = head->goroutines;
	report->go.goroutines_unread = head->goroutines_unread;
	if (!status)
		status = fill_sizes(draft, &resident);
	if (!status)
		status = fill_creators(draft, &resident);
	if (!status)
		status = vmt_report_go_large_fill(draft, &resident);
	vmt_resident_close(&resident);
	return status ? status : name_creators(draft);
}

/* Whether the heap was read with this chunk's snapshot, and when that was. */
static bool
has_heap(const struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
	 int64_t *time_ns)
{
	struct vmt_snapshot_head head;
	struct vmt_err err = {{0}};
	struct vmt_go_heap heap;
	const unsigned char *bytes;
	size_t length;
	bool is_read;

	if (chunk->header.kind != VMT_CHUNK_SNAPSHOT ||
	    vmt_trace_payload(draft->trace, chunk, &bytes, &length, &err) ||
	    vmt_codec_get_snapshot_head(&chunk->header, bytes, length, &head) == 0 ||
	    head.source == VMT_RESIDENCY_NONE)
		return false;
	*time_ns = vmt_trace_time_ns(draft->trace, head.time);
	is_read = vmt_report_go_heap_read(draft, chunk, head.index, &heap) &&
		  vmt_report_go_heap_is_read(&heap);
	vmt_go_heap_chunk_free(&heap);
	return is_read;
}

static int64_t
distance_ns(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

/* Where the inside of the heap can be seen: of a process that runs, in a snapshot that is taken
 * now; else in the nearest that has it. */
static void
say_where(const struct vmt_report_draft *draft, char *text, size_t text_bytes)
{
	const struct vmt_report *report = &draft->report;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	int64_t best_ns = -1;
	int64_t time_ns;

	text[0] = '\0';
	if (!draft->joined)
		return;
	if (strcmp(report->process.end, "running") == 0 && draft->go_heap.spans) {
		snprintf(text, text_bytes, ". For a look at it now: vmtrace snapshot %" PRIu32,
			 report->process.pid);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (has_heap(draft, &chunks[i], &time_ns) && time_ns >= 0 &&
		    (best_ns < 0 || distance_ns(time_ns, report->snapshot.time_ns) <
					distance_ns(best_ns, report->snapshot.time_ns)))
			best_ns = time_ns;
	if (best_ns >= 0)
		snprintf(text, text_bytes, ". The nearest snapshot that has it: --at %" PRIi64 "us",
			 (best_ns + 999) / 1000); /* not later than that is what --at takes */
}

static int
cover(struct vmt_report_draft *draft)
{
	const struct vmt_go_heap_head *head = &draft->go_heap.head;
	const struct vmt_report *report = &draft->report;
	char where[96];
	int status = 0;

	if (report->go.uncut) {
		say_where(draft, where, sizeof(where));
		return vmt_report_coverage_add(
		    draft,
		    "what the Go heap is used for, goroutine stacks included, is not told apart: "
		    "%s%s",
		    report->go.uncut, where);
	}
	if (head->spans_unread)
		status = vmt_report_coverage_add(draft,
						 "%" PRIu64 " of the Go heap's %" PRIu64
						 " spans changed hands while they were read: "
						 "their pages are under \"Go heap\"",
						 head->spans_unread, head->spans_known);
	if (!status && head->flags & VMT_GO_HEAP_NOT_FREE)
		status = vmt_report_coverage_add(
		    draft, "which pages of the Go heap are free could not be read: they are "
			   "under \"Go heap\"");
	if (!status && head->flags & VMT_GO_HEAP_NO_STACKS)
		status = vmt_report_coverage_add(draft, "Go's list of goroutines could not be "
							"read: who started them is unknown");
	if (!status && head->goroutines_unread)
		status = vmt_report_coverage_add(draft,
						 "the stacks of %" PRIu64 " of %" PRIu64
						 " goroutines moved while they were read: "
						 "the rows by go statement lack them",
						 head->goroutines_unread, head->goroutines_known);
	return status;
}

int
vmt_report_go_heap_fill(struct vmt_report_draft *draft)
{
	int status = 0;

	if (!vmt_report_go_heap_is_read(&draft->go_heap)) {
		draft->report.go.uncut = find_reason(draft, &vmt_trace_head(draft->trace)->go);
		if (!draft->report.go.uncut)
			return -ENOMEM;
	} else {
		status = fill_heap(draft);
		/* What one runtime's lists say is no diagnosis of several. */
		if (!draft->report.go.is_several)
			vmt_go_parts_take(&draft->report.go.parts, draft->attribution.classes,
					  draft->report.go.uncounted ? NULL
								     : &draft->report.go.figures);
	}
	if (!status)
		status = cover(draft);
	return status ? status : vmt_report_go_large_cover(draft);
}

void
vmt_report_go_heap_free(struct vmt_report *report)
{
	for (size_t i = 0; i < report->go.creator_count; i++)
		free(report->go.creators[i].stack.frames);
	free(report->go.creators);
	free(report->go.sizes);
	vmt_report_go_large_free(report);
}
