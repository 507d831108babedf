/* Large objects by the line that allocated them: what each has reserved, and what of it nobody
 * wrote. */
#include "tools/model/report/go_lines.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/go_large_chunk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* What the large objects of one site have. */
struct sums {
	struct vmt_go_line *lines; /* item: index of the site */
	struct vmt_go_large *sites;
};

static void
add(struct vmt_go_large *sum, const struct vmt_go_large *more)
{
	sum->objects += more->objects;
	sum->reserved_bytes += more->reserved_bytes;
	sum->committed_bytes += more->committed_bytes;
	sum->swapped_bytes += more->swapped_bytes;
	sum->untouched_bytes += more->untouched_bytes;
}

static struct vmt_go_large
measure(const struct vmt_go_span *span, const struct vmt_resident *resident)
{
	struct vmt_amounts amounts =
	    vmt_resident_range(resident, span->start, span->start + span->bytes);
	struct vmt_go_large sum = {.objects = span->allocated,
				   .reserved_bytes = span->bytes,
				   .committed_bytes = amounts.bytes[VMT_AMOUNT_COMMITTED],
				   .swapped_bytes = amounts.bytes[VMT_AMOUNT_SWAPPED]};
	uint64_t touched_bytes = sum.committed_bytes + sum.swapped_bytes;

	sum.untouched_bytes = touched_bytes < span->bytes ? span->bytes - touched_bytes : 0;
	return sum;
}

/* Both lists are by address. An object that no span is at, or one of another length, is none. */
static void
sum_sites(struct vmt_report_draft *draft, const struct vmt_go_large_read *large,
	  const struct vmt_resident *resident, struct vmt_go_large *sites)
{
	const struct vmt_go_heap *heap = &draft->go_heap;
	const uint64_t objects = large->sites ? large->head.objects : 0;
	uint64_t next = 0;

	for (uint64_t i = 0; i < heap->head.spans; i++) {
		const struct vmt_go_span *span = &heap->spans[i];
		struct vmt_go_large *sum = &draft->report.go.other_large;
		struct vmt_go_large one;

		if (span->class >= 2)
			continue;
		one = measure(span, resident);
		while (next < objects && large->objects[next].start < span->start)
			next++;
		if (next < objects && large->objects[next].start == span->start &&
		    vmt_go_large_pages(large->sites[large->objects[next].site].object_bytes) ==
			span->bytes / VMT_GO_PAGE_BYTES)
			sum = &sites[large->objects[next].site];
		add(sum, &one);
	}
}

static int
name_sites(const struct vmt_go_large_read *large, struct vmt_frames *frames,
	   const struct sums *sums, size_t *count)
{
	const uint64_t *addresses = large->addresses;
	int status = 0;

	for (uint64_t i = 0; !status && large->sites && i < large->head.sites; i++) {
		struct vmt_go_line *line = &sums->lines[*count];

		if (sums->sites[i].objects) {
			line->bytes = (double)sums->sites[i].reserved_bytes;
			line->item = (size_t)i;
			status = vmt_go_lines_name(line, frames, addresses, large->sites[i].frames);
			++*count;
		}
		addresses += large->sites[i].frames;
	}
	return status;
}

static int
compare_rows(const void *left, const void *right)
{
	const struct vmt_go_large *a = left;
	const struct vmt_go_large *b = right;

	if (a->reserved_bytes != b->reserved_bytes)
		return a->reserved_bytes < b->reserved_bytes ? 1 : -1;
	return (a->untouched_bytes < b->untouched_bytes) -
	       (a->untouched_bytes > b->untouched_bytes);
}

static int
make_rows(struct vmt_report *report, const struct sums *sums, size_t count)
{
	size_t alike;
	int status = 0;

	report->go.large = calloc(count + 1, sizeof(*report->go.large));
	if (!report->go.large)
		return -ENOMEM;
	vmt_go_lines_sort(sums->lines, count);
	for (size_t i = 0; i < count && !status; i += alike) {
		struct vmt_go_large *row = &report->go.large[report->go.large_count++];

		alike = vmt_go_lines_alike(sums->lines + i, count - i);
		for (size_t k = 0; k < alike; k++)
			add(row, &sums->sites[sums->lines[i + k].item]);
		status = vmt_go_lines_stack(sums->lines + i, alike, &row->stack);
	}
	qsort(report->go.large, report->go.large_count, sizeof(*report->go.large), compare_rows);
	return status;
}

static int
fill(struct vmt_report_draft *draft, const struct vmt_go_large_read *large,
     const struct vmt_resident *resident)
{
	struct sums sums = {calloc((size_t)large->head.sites + 1, sizeof(*sums.lines)),
			    calloc((size_t)large->head.sites + 1, sizeof(*sums.sites))};
	struct vmt_frames *frames = vmt_report_go_frames(draft);
	size_t count = 0;
	int status = sums.lines && sums.sites && frames ? 0 : -ENOMEM;

	if (!status) {
		sum_sites(draft, large, resident, sums.sites);
		status = name_sites(large, frames, &sums, &count);
	}
	if (!status)
		status = make_rows(&draft->report, &sums, count);
	vmt_frames_free(frames);
	free(sums.lines);
	free(sums.sites);
	return status;
}

/* Of the report's snapshot; without sites: there is none. */
static void
read_large(const struct vmt_report_draft *draft, struct vmt_go_large_read *large)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	const struct vmt_trace_chunk *chunk = draft->chosen;
	struct vmt_err err = {{0}};
	const unsigned char *bytes;
	size_t length;

	*large = (struct vmt_go_large_read){.sites = NULL};
	while (draft->joined && chunk-- > chunks && chunk->header.kind != VMT_CHUNK_SNAPSHOT) {
		if (chunk->header.kind != VMT_CHUNK_GO_LARGE)
			continue;
		if (vmt_trace_payload(draft->trace, chunk, &bytes, &length, &err) ||
		    vmt_go_large_chunk_read(large, &chunk->header, bytes, length, &err))
			return;
		if (large->head.snapshot == draft->snapshot.head.index)
			return;
		vmt_go_large_chunk_free(large);
	}
}

int
vmt_report_go_large_fill(struct vmt_report_draft *draft, const struct vmt_resident *resident)
{
	struct vmt_go_large_read large;
	int status;

	if (draft->snapshot.coarse)
		return 0;
	read_large(draft, &large);
	draft->report.go.has_large = large.sites != NULL;
	draft->report.go.large_unread = large.head.unread;
	status = fill(draft, &large, resident);
	vmt_go_large_chunk_free(&large);
	return status;
}

#define UNTOUCHED_WORTH_SAYING_MIB UINT64_C(4)

int
vmt_report_go_large_cover(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;
	uint64_t mib = report->go.other_large.untouched_bytes >> 20;

	if (report->go.uncut || mib < UNTOUCHED_WORTH_SAYING_MIB)
		return 0;
	return vmt_report_coverage_add(
	    draft,
	    "%" PRIu64 " MiB of Go's large objects have no page, in RAM or in swap: which lines "
	    "allocated them is unknown, as %s",
	    mib,
	    !report->go.has_large	   ? "the trace does not have it with this snapshot"
	    : report->go.large_unread == 0 ? "Go did not sample them for its memory profile"
					   : "Go did not sample them for its memory profile, or "
					     "they changed while they were read, or were too many");
}

void
vmt_report_go_large_free(struct vmt_report *report)
{
	for (size_t i = 0; i < report->go.large_count; i++)
		free(report->go.large[i].stack.frames);
	free(report->go.large);
}
