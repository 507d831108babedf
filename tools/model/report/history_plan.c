#include "format/codec.h"
#include "tools/model/report/history_draft.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS_KEPT 4u /* the first, the peak, the report's and the last */

/* False: it is none of pages, or damaged. */
static bool
read_head(struct vmt_trace *trace, const struct vmt_trace_chunk *chunk,
	  struct vmt_history_planned *planned)
{
	struct vmt_snapshot_head head;
	const unsigned char *bytes;
	struct vmt_err err = {{0}};
	size_t length;

	if (chunk->header.kind != VMT_CHUNK_SNAPSHOT ||
	    vmt_trace_payload(trace, chunk, &bytes, &length, &err) ||
	    vmt_codec_get_snapshot_head(&chunk->header, bytes, length, &head) == 0 ||
	    head.source == VMT_RESIDENCY_NONE)
		return false;
	*planned = (struct vmt_history_planned){.chunk = chunk,
						.time = head.time,
						.time_ns = vmt_trace_time_ns(trace, head.time),
						.rss_bytes = head.resident_bytes,
						.index = head.index};
	return true;
}

static int
compare_times(const void *left, const void *right)
{
	const struct vmt_history_planned *a = left;
	const struct vmt_history_planned *b = right;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return (a->chunk > b->chunk) - (a->chunk < b->chunk);
}

static int
list(struct vmt_history_draft *draft, struct vmt_trace *trace, const struct vmt_trace_chunk *own)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);
	size_t room = 0;

	for (size_t i = 0; i < count; i++)
		room += chunks[i].header.kind == VMT_CHUNK_SNAPSHOT;
	draft->planned = calloc(room + 1, sizeof(*draft->planned));
	if (!draft->planned)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct vmt_history_planned *planned = &draft->planned[draft->planned_count];

		if (!read_head(trace, &chunks[i], planned))
			continue;
		planned->is_reports = &chunks[i] == own;
		draft->planned_count++;
	}
	qsort(draft->planned, draft->planned_count, sizeof(*draft->planned), compare_times);
	return 0;
}

/* Those that are always there. */
static void
mark(struct vmt_history_draft *draft)
{
	struct vmt_history_planned *peak = &draft->planned[0];

	for (size_t i = 0; i < draft->planned_count; i++) {
		struct vmt_history_planned *planned = &draft->planned[i];

		if (planned->rss_bytes >= peak->rss_bytes)
			peak = planned;
		planned->is_chosen = planned->is_reports;
	}
	peak->is_peak = peak->is_chosen = true;
	draft->planned[0].is_chosen = true;
	draft->planned[draft->planned_count - 1].is_end = true;
	draft->planned[draft->planned_count - 1].is_chosen = true;
}

/* Of neighbours the one with the least and the one with the most memory are kept. */
static void
thin(struct vmt_history_draft *draft)
{
	size_t buckets = (VMT_HISTORY_LINE_MOST - ALWAYS_KEPT) / 2;
	size_t count = draft->planned_count;
	size_t used = 0;

	if (count <= VMT_HISTORY_LINE_MOST)
		return;
	for (size_t i = 0; i < buckets; i++) {
		size_t first = i * count / buckets;
		size_t end = (i + 1) * count / buckets;
		size_t low = first;
		size_t high = first;

		for (size_t j = first; j < end; j++) {
			if (draft->planned[j].rss_bytes < draft->planned[low].rss_bytes)
				low = j;
			if (draft->planned[j].rss_bytes > draft->planned[high].rss_bytes)
				high = j;
		}
		for (size_t j = first; j < end; j++)
			if (j == low || j == high || draft->planned[j].is_chosen)
				draft->planned[used++] = draft->planned[j];
	}
	assert(used <= VMT_HISTORY_LINE_MOST);
	draft->planned_count = used;
}

/* How far two snapshots are from each other, in time and in memory. */
static double
distance(const struct vmt_history_planned *a, const struct vmt_history_planned *b, double span_ns,
	 double most_bytes)
{
	double time = (double)(a->time_ns - b->time_ns) / span_ns;
	double rss = ((double)a->rss_bytes - (double)b->rss_bytes) / most_bytes;

	return time * time + rss * rss;
}

/* How near the chosen ones are to each other one. */
struct choice {
	const struct vmt_history_planned *planned;
	size_t count;
	double *nearest;
	double span_ns;
	double most_bytes;
};

static void
come_nearer(const struct choice *choice, size_t chosen)
{
	for (size_t i = 0; i < choice->count; i++) {
		double far = distance(&choice->planned[i], &choice->planned[chosen],
				      choice->span_ns, choice->most_bytes);

		if (far < choice->nearest[i])
			choice->nearest[i] = far;
	}
}

/* There is one. */
static size_t
farthest(const struct choice *choice)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < choice->count; i++)
		if (!choice->planned[i].is_chosen &&
		    (best == SIZE_MAX || choice->nearest[i] > choice->nearest[best]))
			best = i;
	assert(best != SIZE_MAX);
	return best;
}

/* Each time the one that is farthest from all that are chosen. */
static int
choose(struct vmt_history_draft *draft)
{
	size_t count = draft->planned_count;
	struct choice choice = {
	    .planned = draft->planned,
	    .count = count,
	    .nearest = calloc(count, sizeof(*choice.nearest)),
	    .span_ns = (double)(draft->planned[count - 1].time_ns - draft->planned[0].time_ns) + 1,
	    .most_bytes = 1,
	};

	if (!choice.nearest)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		choice.nearest[i] = INFINITY;
		choice.most_bytes = fmax(choice.most_bytes, (double)draft->planned[i].rss_bytes);
	}
	for (size_t i = 0; i < count; i++) {
		if (!draft->planned[i].is_chosen)
			continue;
		come_nearer(&choice, i);
		draft->chosen_count++;
	}
	for (; draft->chosen_count < VMT_HISTORY_CHOSEN_MOST && draft->chosen_count < count;
	     draft->chosen_count++) {
		size_t best = farthest(&choice);

		draft->planned[best].is_chosen = true;
		come_nearer(&choice, best);
	}
	free(choice.nearest);
	return 0;
}

int
vmt_history_plan(struct vmt_history_draft *draft, struct vmt_trace *trace,
		 const struct vmt_trace_chunk *own)
{
	int status = list(draft, trace, own);

	if (status || draft->planned_count == 0)
		return status;
	mark(draft);
	thin(draft);
	return choose(draft);
}
