/*
 * Over 500 lines: what is pending, what is ready and what is given out share one struct.
 */
#include "tools/read/trace/merge.h"

#include "base/assert.h"
#include "format/codec.h"
#include "tools/read/trace/block_index.h"
#include "tools/read/trace/priority_queue.h"
#include "tools/read/trace/read_ahead.h"
#include "tools/read/trace/sorted_run.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_RECORDS VMT_SORTED_RUN_MAX_RECORDS
#define BATCH_RECORDS 1024u
/* Of payloads held, and records decoded, at once. A collector's chunks have some thousand records;
 * only what was made to get there gets there. */
#define MAX_HELD_BYTES (UINT64_C(256) << 20)
/* Where more is held, chunks are decoded a block at a time. */
#define MAX_HELD_AHEAD_BYTES (UINT64_C(24) << 20)
#define LEAST_CHUNKS_AHEAD 8u /* for fewer no thread is started */

/* Order of stretches that begin at one time: by rank, then by place in the file. */
#define RANK_SHIFT 60
#define CHUNK_SHIFT 28
#define MAX_CHUNKS UINT32_MAX /* as a chunk's number, that of the rings' remains: behind all */
#define WHOLE_CHUNK 0u	      /* in a pending item: not opened yet; else a block's number + 1 */

struct vmt_merge {
	struct vmt_trace *trace;
	const struct vmt_trace_chunk *chunks;
	struct vmt_block_index **sources; /* by chunk; NULL = not open */
	size_t chunk_count;
	size_t chunks_opened;
	uint64_t held_bytes;
	uint64_t events_unknown;
	struct vmt_priority_queue pending; /* chunks and blocks, by their earliest record */
	struct vmt_priority_queue ready; /* stretches, by their next record; value = its address */
	struct vmt_read_ahead *ahead;	 /* NULL: no other thread decodes */
	struct vmt_sorted_run *spares;	 /* empty ones with room for a block */
	struct vmt_sorted_run *emptied;	 /* by the batch that was given out last */
	struct vmt_record *scratch;
	const struct vmt_event *ring_events;
	size_t ring_count;
	size_t ring_next;
	int64_t from_ns; /* chunks that end before it are left out */
	uint64_t until;	 /* ticks: nothing of that time and later is given or decoded */
	bool leaves_rings_out;
	bool is_watched;     /* whether chunks are what their headers say */
	bool is_irregular;   /* one of these was not */
	uint64_t given_time; /* of the record given out last */
	size_t batch_count;
	size_t batch_next; /* for who takes records one by one */
	const struct vmt_record *batch[BATCH_RECORDS];
};

static int
out_of_memory(struct vmt_merge *merge, struct vmt_err *err)
{
	return vmt_err_set(err, ENOMEM, "%s: no memory to merge its chunks",
			   vmt_trace_path(merge->trace));
}

static int
malformed(struct vmt_merge *merge, size_t chunk, struct vmt_err *err)
{
	return vmt_err_set(err, EBADMSG,
			   "%s: chunk %zu is malformed although its checksum is right",
			   vmt_trace_path(merge->trace), chunk);
}

static int
undecodable(struct vmt_merge *merge, size_t chunk, int result, struct vmt_err *err)
{
	return result == -ENOMEM ? out_of_memory(merge, err) : malformed(merge, chunk, err);
}

static int
refused(struct vmt_merge *merge, uint8_t kind, struct vmt_err *err)
{
	return vmt_err_set(
	    err, EPROTONOSUPPORT,
	    "%s: was made by a newer version of vmtrace: this one can't read its events of kind %u",
	    vmt_trace_path(merge->trace), kind);
}

static size_t
stretch_bytes(uint32_t room)
{
	return sizeof(struct vmt_sorted_run) + room * sizeof(struct vmt_record);
}

/* NULL: there is none. */
static struct vmt_sorted_run *
take_spare(struct vmt_merge *merge)
{
	struct vmt_sorted_run *spare = merge->spares;

	if (merge->ahead != NULL)
		return vmt_read_ahead_take_spare(merge->ahead);
	if (spare != NULL)
		merge->spares = spare->next_spare;
	return spare;
}

/* An empty stretch. Full blocks are nearly all that there is, and use each other's memory. */
static struct vmt_sorted_run *
take_stretch(struct vmt_merge *merge, uint32_t records)
{
	uint32_t room = records > BLOCK_RECORDS / 2 ? BLOCK_RECORDS : records;
	struct vmt_sorted_run *stretch = NULL;

	assert(records > 0 && records <= BLOCK_RECORDS);
	if (room == BLOCK_RECORDS)
		stretch = take_spare(merge);
	if (stretch == NULL)
		stretch = malloc(stretch_bytes(room));
	if (stretch == NULL)
		return NULL;
	stretch->room = room;
	stretch->count = 0;
	stretch->next = 0;
	merge->held_bytes += stretch_bytes(room);
	return stretch;
}

static void
give_back(struct vmt_merge *merge, struct vmt_sorted_run *stretch)
{
	assert(merge->held_bytes >= stretch_bytes(stretch->room));
	merge->held_bytes -= stretch_bytes(stretch->room);
	if (stretch->room < BLOCK_RECORDS) {
		free(stretch);
		return;
	}
	if (merge->ahead != NULL) {
		vmt_read_ahead_give_back(merge->ahead, stretch);
		return;
	}
	stretch->next_spare = merge->spares;
	merge->spares = stretch;
}

/* Where a stretch stands among the others, by its next record. */
static struct vmt_priority_queue_item
item_of(const struct vmt_sorted_run *stretch)
{
	const struct vmt_record *record = &stretch->records[stretch->next];

	assert(stretch->next < stretch->count);
	return (struct vmt_priority_queue_item){
	    .time = record->time,
	    .order = (uint64_t)vmt_sorted_run_rank(record) << RANK_SHIFT | stretch->place,
	    .value = (uintptr_t)stretch,
	};
}

static struct vmt_sorted_run *
stretch_of(const struct vmt_priority_queue_item *item)
{
	return (struct vmt_sorted_run *)(uintptr_t)item->value;
}

static bool
is_of_heap(const struct vmt_chunk *header)
{
	return header->kind == VMT_CHUNK_EVENTS && header->ring % VMT_RING_CLASSES == VMT_RING_HEAP;
}

static bool
is_regular(const struct vmt_sorted_run *stretch, const struct vmt_chunk *header)
{
	bool is_regular =
	    stretch->count == 0 || stretch->records[stretch->count - 1].time <= header->time_max;

	for (uint32_t i = 0; i < stretch->count; i++)
		is_regular &= stretch->records[i].event.kind < VMT_EVENT_FIRST_OF_MAP;
	return is_regular;
}

static void
watch(struct vmt_merge *merge, const struct vmt_sorted_run *stretch, size_t chunk)
{
	const struct vmt_chunk *header = &merge->chunks[chunk].header;

	if (merge->is_watched && is_of_heap(header))
		merge->is_irregular |= !is_regular(stretch, header);
}

/* Queues a filled stretch, the block-th of its chunk. */
static int
add_ready(struct vmt_merge *merge, struct vmt_sorted_run *stretch, uint64_t chunk, uint32_t block,
	  struct vmt_err *err)
{
	assert(chunk <= MAX_CHUNKS && block < UINT32_C(1) << CHUNK_SHIFT);
	vmt_assert(stretch->count <= stretch->room);
	stretch->place = chunk << CHUNK_SHIFT | block;
	if (vmt_priority_queue_push(&merge->ready, item_of(stretch)))
		return 0;
	give_back(merge, stretch);
	return out_of_memory(merge, err);
}

static int
check_held(struct vmt_merge *merge, struct vmt_err *err)
{
	if (merge->held_bytes <= MAX_HELD_BYTES)
		return 0;
	return vmt_err_set(err, E2BIG,
			   "%s: more records with one time stamp than any program writes",
			   vmt_trace_path(merge->trace));
}

/* Decodes a block of a chunk. */
static int
decode_block(struct vmt_merge *merge, size_t chunk, uint32_t block,
	     struct vmt_sorted_run_cursor *cursor, struct vmt_err *err)
{
	const struct vmt_chunk *header = &merge->chunks[chunk].header;
	uint32_t records = vmt_block_index_records(header) - block * BLOCK_RECORDS;
	struct vmt_sorted_run *stretch;

	vmt_assert(records != 0 && records <= vmt_block_index_records(header));
	if (records > BLOCK_RECORDS)
		records = BLOCK_RECORDS;
	stretch = take_stretch(merge, records);
	if (stretch == NULL)
		return out_of_memory(merge, err);
	if (!vmt_sorted_run_fill(stretch, header, cursor, records, merge->scratch)) {
		give_back(merge, stretch);
		return malformed(merge, chunk, err);
	}
	merge->events_unknown += stretch->unknown;
	watch(merge, stretch, chunk);
	if (stretch->refused_kind != 0) {
		uint8_t kind = stretch->refused_kind;

		give_back(merge, stretch);
		return refused(merge, kind, err);
	}
	return add_ready(merge, stretch, chunk, block, err);
}

static void
close_source(struct vmt_merge *merge, size_t chunk)
{
	struct vmt_block_index *source = merge->sources[chunk];

	if (source == NULL)
		return;
	assert(merge->held_bytes >= source->length);
	merge->held_bytes -= source->length;
	merge->sources[chunk] = NULL;
	vmt_block_index_free(source);
}

static int
add_snapshot(struct vmt_merge *merge, size_t chunk, const unsigned char *bytes, size_t length,
	     struct vmt_err *err)
{
	struct vmt_snapshot_head head;
	struct vmt_sorted_run *stretch;

	if (vmt_codec_get_snapshot_head(&merge->chunks[chunk].header, bytes, length, &head) == 0 ||
	    head.time < merge->chunks[chunk].header.time_min)
		return malformed(merge, chunk, err);
	stretch = take_stretch(merge, 1);
	if (stretch == NULL)
		return out_of_memory(merge, err);
	stretch->records[stretch->count++] = (struct vmt_record){
	    .kind = VMT_RECORD_SNAPSHOT, .time = head.time, .snapshot = &merge->chunks[chunk]};
	return add_ready(merge, stretch, chunk, 0, err);
}

static int
hold_source(struct vmt_merge *merge, size_t chunk, const unsigned char *bytes, size_t length,
	    struct vmt_err *err)
{
	const struct vmt_chunk *header = &merge->chunks[chunk].header;
	struct vmt_block_index *source = vmt_block_index_new(header, bytes, length);
	int result;

	if (source == NULL)
		return out_of_memory(merge, err);
	merge->sources[chunk] = source;
	merge->held_bytes += length;
	result = check_held(merge, err);
	if (result != 0)
		return result;
	result = vmt_block_index_find(source, header, vmt_trace_touch_stacks(merge->trace));
	if (result != 0)
		return undecodable(merge, chunk, result, err);
	for (uint32_t i = 0; i < source->blocks; i++) {
		struct vmt_priority_queue_item item = {source->block[i].time_min, i,
						       (uint64_t)chunk << 32 | (i + 1)};

		if (!vmt_priority_queue_push(&merge->pending, item))
			return out_of_memory(merge, err);
	}
	return 0;
}

/* What another thread has decoded of a chunk, if it has: *is_taken. */
static int
take_decoded(struct vmt_merge *merge, size_t chunk, bool *is_taken, struct vmt_err *err)
{
	struct vmt_read_ahead_chunk decoded;
	int result = 0;

	*is_taken = false;
	if (merge->ahead == NULL || !vmt_read_ahead_is_for(&merge->chunks[chunk].header))
		return 0;
	vmt_read_ahead_take(merge->ahead, chunk, &decoded);
	*is_taken = decoded.count > 0 && merge->held_bytes <= MAX_HELD_AHEAD_BYTES;
	for (uint32_t i = 0; i < decoded.count; i++) {
		merge->held_bytes += stretch_bytes(BLOCK_RECORDS);
		if (result != 0 || !*is_taken) {
			give_back(merge, decoded.blocks[i]);
			continue;
		}
		merge->events_unknown += decoded.blocks[i]->unknown;
		watch(merge, decoded.blocks[i], chunk);
		result = add_ready(merge, decoded.blocks[i], chunk, i, err);
	}
	return result;
}

/* What the collector writes is one block: decoded at once, and its header has its earliest time. */
static int
decode_chunk(struct vmt_merge *merge, size_t chunk, struct vmt_err *err)
{
	const struct vmt_chunk *header = &merge->chunks[chunk].header;
	struct vmt_sorted_run_cursor cursor;
	const unsigned char *bytes;
	size_t length;
	int result = vmt_trace_payload(merge->trace, &merge->chunks[chunk], &bytes, &length, err);

	if (result != 0)
		return result;
	if (header->kind == VMT_CHUNK_SNAPSHOT)
		return add_snapshot(merge, chunk, bytes, length, err);
	if (vmt_block_index_records(header) > BLOCK_RECORDS)
		return hold_source(merge, chunk, bytes, length, err);
	result = vmt_sorted_run_begin(&cursor, header, bytes, length,
				      vmt_trace_touch_stacks(merge->trace));
	if (result != 0)
		return undecodable(merge, chunk, result, err);
	result = decode_block(merge, chunk, 0, &cursor, err);
	return result == 0 && !vmt_sorted_run_is_done(&cursor) ? malformed(merge, chunk, err)
							       : result;
}

static int
open_chunk(struct vmt_merge *merge, size_t chunk, struct vmt_err *err)
{
	bool is_taken;
	int result = take_decoded(merge, chunk, &is_taken, err);

	merge->chunks_opened++;
	vmt_assert(merge->chunks_opened <= merge->chunk_count);
	return is_taken || result != 0 ? result : decode_chunk(merge, chunk, err);
}

static int
open_block(struct vmt_merge *merge, size_t chunk, uint32_t block, struct vmt_err *err)
{
	struct vmt_block_index *source = merge->sources[chunk];
	int result;

	assert(block < source->blocks && source->blocks_left > 0);
	result = decode_block(merge, chunk, block, &source->block[block].cursor, err);
	if (!vmt_block_index_decoded(source, block) && result == 0)
		result = malformed(merge, chunk, err);
	if (source->blocks_left == 0)
		close_source(merge, chunk);
	return result;
}

static int
open_pending(struct vmt_merge *merge, struct vmt_err *err)
{
	struct vmt_priority_queue_item item = vmt_priority_queue_pop(&merge->pending);
	size_t chunk = item.value >> 32;
	uint32_t part = (uint32_t)item.value;
	int result;

	assert(chunk < merge->chunk_count);
	if (part == WHOLE_CHUNK)
		result = open_chunk(merge, chunk, err);
	else
		result = open_block(merge, chunk, part - 1, err);
	return result != 0 ? result : check_held(merge, err);
}

/* The next block of what the rings still held, which is sorted by time. */
static int
add_ring_events(struct vmt_merge *merge, struct vmt_err *err)
{
	size_t left = merge->ring_count - merge->ring_next;
	uint32_t records = left < BLOCK_RECORDS ? (uint32_t)left : BLOCK_RECORDS;
	struct vmt_sorted_run *stretch = take_stretch(merge, records);
	uint32_t block = (uint32_t)(merge->ring_next / BLOCK_RECORDS);

	vmt_assert(merge->ring_next % BLOCK_RECORDS == 0 && records != 0);
	if (stretch == NULL)
		return out_of_memory(merge, err);
	for (; stretch->count < records; stretch->count++) {
		const struct vmt_event *event = &merge->ring_events[merge->ring_next++];

		stretch->records[stretch->count] = (struct vmt_record){
		    .kind = VMT_RECORD_EVENT, .time = event->time, .event = *event};
		merge->events_unknown += !vmt_event_is_known(event->kind);
	}
	vmt_assert(merge->ring_next <= merge->ring_count);
	vmt_sorted_run_sort(stretch, merge->scratch);
	return add_ready(merge, stretch, MAX_CHUNKS, block, err);
}

static bool
is_wanted(const struct vmt_merge *merge, const struct vmt_chunk *header)
{
	if (vmt_block_index_records(header) == 0)
		return false;
	return header->kind == VMT_CHUNK_TOUCH ||
	       vmt_trace_time_ns(merge->trace, header->time_max) >= merge->from_ns;
}

/* From that chunk on. */
static int
queue_chunks(struct vmt_merge *merge, size_t first, struct vmt_err *err)
{
	for (size_t i = first; i < merge->chunk_count; i++) {
		const struct vmt_chunk *header = &merge->chunks[i].header;
		struct vmt_priority_queue_item item = {header->time_min, i,
						       (uint64_t)i << 32 | WHOLE_CHUNK};

		if (is_wanted(merge, header) && !vmt_priority_queue_push(&merge->pending, item))
			return out_of_memory(merge, err);
	}
	return 0;
}

static int
open_merge(struct vmt_merge **out, struct vmt_trace *trace, int64_t from_ns, uint64_t until,
	   struct vmt_err *err)
{
	struct vmt_merge *merge = calloc(1, sizeof(*merge));
	int result;

	*out = NULL;
	if (merge == NULL)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", vmt_trace_path(trace));
	merge->trace = trace;
	merge->from_ns = from_ns;
	merge->until = until;
	merge->leaves_rings_out = true;
	merge->chunks = vmt_trace_chunks(trace, &merge->chunk_count);
	merge->ring_events = vmt_trace_ring_events(trace, &merge->ring_count);
	merge->sources = calloc(merge->chunk_count + 1, sizeof(struct vmt_block_index *));
	merge->scratch = malloc(BLOCK_RECORDS * sizeof(*merge->scratch));
	if (merge->sources == NULL || merge->scratch == NULL)
		result = out_of_memory(merge, err);
	else if (merge->chunk_count >= MAX_CHUNKS)
		result = vmt_err_set(err, E2BIG, "%s: has too many chunks", vmt_trace_path(trace));
	else
		result = queue_chunks(merge, 0, err);
	if (result != 0)
		vmt_merge_close(merge);
	else
		*out = merge;
	return result;
}

int
vmt_merge_open(struct vmt_merge **merge, struct vmt_trace *trace, struct vmt_err *err)
{
	return vmt_merge_open_from(merge, trace, INT64_MIN, err);
}

int
vmt_merge_open_from(struct vmt_merge **merge, struct vmt_trace *trace, int64_t from_ns,
		    struct vmt_err *err)
{
	int result = open_merge(merge, trace, from_ns, 0, err);

	if (result != 0)
		return result;
	assert(*merge != NULL);
	vmt_merge_finish(*merge);
	return 0;
}

int
vmt_merge_open_until(struct vmt_merge **merge, struct vmt_trace *trace, uint64_t until,
		     struct vmt_err *err)
{
	return open_merge(merge, trace, INT64_MIN, until, err);
}

/* The chunks lie elsewhere now, and so do the snapshots that are ready. */
static void
move_chunks(struct vmt_merge *merge, const struct vmt_trace_chunk *chunks)
{
	for (size_t i = 0; i < merge->ready.count; i++) {
		struct vmt_sorted_run *stretch = stretch_of(&merge->ready.items[i]);

		for (uint32_t j = 0; j < stretch->count; j++)
			if (stretch->records[j].kind == VMT_RECORD_SNAPSHOT)
				stretch->records[j].snapshot =
				    &chunks[stretch->place >> CHUNK_SHIFT];
	}
	merge->chunks = chunks;
}

int
vmt_merge_extend(struct vmt_merge *merge, struct vmt_err *err)
{
	size_t before = merge->chunk_count;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(merge->trace, &count);
	struct vmt_block_index **sources =
	    reallocarray(merge->sources, count + 1, sizeof(struct vmt_block_index *));

	if (sources == NULL)
		return out_of_memory(merge, err);
	merge->sources = sources;
	if (count >= MAX_CHUNKS)
		return vmt_err_set(err, E2BIG, "%s: has too many chunks",
				   vmt_trace_path(merge->trace));
	memset(sources + before, 0, (count - before) * sizeof(*sources));
	move_chunks(merge, chunks);
	merge->chunk_count = count;
	merge->ring_events = vmt_trace_ring_events(merge->trace, &merge->ring_count);
	for (size_t i = before; i < count; i++)
		if (chunks[i].header.time_min < merge->until &&
		    vmt_block_index_records(&chunks[i].header) > 0)
			return -ESTALE;
	return vmt_merge_ring_min(merge) < merge->until ? -ESTALE
							: queue_chunks(merge, before, err);
}

void
vmt_merge_set_until(struct vmt_merge *merge, uint64_t until)
{
	assert(until >= merge->until);
	merge->until = until;
}

uint64_t
vmt_merge_ring_min(const struct vmt_merge *merge)
{
	return merge->ring_count > 0 ? merge->ring_events[0].time : UINT64_MAX;
}

void
vmt_merge_finish(struct vmt_merge *merge)
{
	merge->leaves_rings_out = false;
	merge->until = UINT64_MAX;
}

void
vmt_merge_close(struct vmt_merge *merge)
{
	if (merge == NULL)
		return;
	for (size_t i = 0; merge->sources != NULL && i < merge->chunk_count; i++)
		close_source(merge, i);
	for (size_t i = 0; i < merge->ready.count; i++)
		free(stretch_of(&merge->ready.items[i]));
	while (merge->spares != NULL) {
		struct vmt_sorted_run *spare = merge->spares;

		merge->spares = spare->next_spare;
		free(spare);
	}
	free(merge->emptied);
	vmt_read_ahead_close(merge->ahead);
	free(merge->sources);
	free(merge->scratch);
	vmt_priority_queue_free(&merge->pending);
	vmt_priority_queue_free(&merge->ready);
	free(merge);
}

static bool
is_left_out(const struct vmt_chunk *header, const struct vmt_merge_span *spans, size_t count)
{
	size_t low = 0;
	size_t high = count;

	/* The first that ends no earlier than the chunk. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (spans[middle].last < header->time_max)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && spans[low].first <= header->time_min && is_of_heap(header);
}

int
vmt_merge_leave_out(struct vmt_merge *merge, const struct vmt_merge_span *spans, size_t count,
		    struct vmt_err *err)
{
	struct vmt_priority_queue kept = {.items = NULL};
	int result = 0;

	assert(merge->ahead == NULL && merge->chunks_opened == 0);
	for (size_t i = 0; i < merge->pending.count && result == 0; i++) {
		struct vmt_priority_queue_item item = merge->pending.items[i];

		if (!is_left_out(&merge->chunks[item.value >> 32].header, spans, count) &&
		    !vmt_priority_queue_push(&kept, item))
			result = out_of_memory(merge, err);
	}
	vmt_priority_queue_free(&merge->pending);
	merge->pending = kept;
	return result;
}

void
vmt_merge_watch(struct vmt_merge *merge)
{
	merge->is_watched = true;
}

bool
vmt_merge_is_regular(const struct vmt_merge *merge)
{
	return merge->is_watched && !merge->is_irregular;
}

static int
compare_items(const void *left, const void *right)
{
	const struct vmt_priority_queue_item *a = left;
	const struct vmt_priority_queue_item *b = right;

	return vmt_priority_queue_is_before(b, a) - vmt_priority_queue_is_before(a, b);
}

/* The chunks that can be decoded ahead, as they will be opened. */
static struct vmt_priority_queue_item *
list_ahead(const struct vmt_merge *merge, size_t *count)
{
	struct vmt_priority_queue_item *list =
	    malloc((merge->pending.count + 1) * sizeof(struct vmt_priority_queue_item));

	*count = 0;
	for (size_t i = 0; list != NULL && i < merge->pending.count; i++)
		if (vmt_read_ahead_is_for(
			&merge->chunks[merge->pending.items[i].value >> 32].header))
			list[(*count)++] = merge->pending.items[i];
	if (list != NULL)
		qsort(list, *count, sizeof(*list), compare_items);
	return list;
}

void
vmt_merge_read_ahead(struct vmt_merge *merge)
{
	size_t count;
	struct vmt_priority_queue_item *list = list_ahead(merge, &count);
	uint32_t *order;

	assert(merge->ahead == NULL && merge->chunks_opened == 0);
	order = count >= LEAST_CHUNKS_AHEAD ? calloc(count, sizeof(*order)) : NULL;
	for (size_t i = 0; order != NULL && i < count; i++)
		order[i] = (uint32_t)(list[i].value >> 32);
	free(list);
	if (order != NULL)
		merge->ahead =
		    vmt_read_ahead_start(vmt_trace_file(merge->trace), merge->chunks, order, count);
}

/* Decodes until nothing that is still coded can precede, or tie with, the first ready record. */
static int
make_ready(struct vmt_merge *merge, struct vmt_err *err)
{
	uint64_t last = merge->leaves_rings_out ? merge->until - 1 : UINT64_MAX;
	int result = 0;

	if (merge->until == 0)
		return 0;
	while (result == 0) {
		uint64_t limit = merge->ready.count > 0 ? merge->ready.items[0].time : UINT64_MAX;

		if (limit > last)
			limit = last;
		if (merge->pending.count > 0 && merge->pending.items[0].time <= limit)
			result = open_pending(merge, err);
		else if (!merge->leaves_rings_out && merge->ring_next < merge->ring_count &&
			 merge->ring_events[merge->ring_next].time <= limit)
			result = add_ring_events(merge, err);
		else
			break;
	}
	return result;
}

/* Whether a ready record of this time comes before all that is still coded. */
static bool
is_settled(const struct vmt_merge *merge, uint64_t time)
{
	if (merge->leaves_rings_out)
		return time < merge->until &&
		       (merge->pending.count == 0 || time < merge->pending.items[0].time);
	return (merge->pending.count == 0 || time < merge->pending.items[0].time) &&
	       (merge->ring_next == merge->ring_count ||
		time < merge->ring_events[merge->ring_next].time);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Before this time nothing can precede, or tie with, the records of the first stretch. */
static uint64_t
alone_until(const struct vmt_merge *merge, const struct vmt_priority_queue_item *second)
{
	uint64_t until = merge->leaves_rings_out ? merge->until : UINT64_MAX;

	if (second != NULL)
		until = earlier(until, second->time);
	if (merge->pending.count > 0)
		until = earlier(until, merge->pending.items[0].time);
	if (!merge->leaves_rings_out && merge->ring_next < merge->ring_count)
		until = earlier(until, merge->ring_events[merge->ring_next].time);
	return until;
}

/* Gives records of the stretch before that time, but not its last. */
static void
take_alone(struct vmt_merge *merge, struct vmt_sorted_run *stretch, uint64_t until)
{
	uint32_t next = stretch->next;

	while (next + 1 < stretch->count && merge->batch_count + 1 < BATCH_RECORDS &&
	       stretch->records[next].time < until) {
		vmt_assert(stretch->records[next].time >= merge->given_time);
		merge->given_time = stretch->records[next].time;
		merge->batch[merge->batch_count++] = &stretch->records[next++];
	}
	stretch->next = next;
}

/* Takes records from the first stretch as long as no other stretch has one before. False where it
 * is empty, or must not be taken from before something is decoded. */
static bool
take_from_first(struct vmt_merge *merge)
{
	struct vmt_sorted_run *stretch = stretch_of(&merge->ready.items[0]);
	const struct vmt_priority_queue_item *second = vmt_priority_queue_second(&merge->ready);
	struct vmt_priority_queue_item item;

	take_alone(merge, stretch, alone_until(merge, second));
	item = item_of(stretch);
	if (second != NULL && vmt_priority_queue_is_before(second, &item)) {
		vmt_priority_queue_replace(&merge->ready, item);
		return true;
	}
	while (is_settled(merge, item.time)) {
		vmt_assert(merge->batch_count < BATCH_RECORDS);
		vmt_assert(item.time >= merge->given_time);
		merge->given_time = item.time;
		merge->batch[merge->batch_count++] = &stretch->records[stretch->next++];
		if (stretch->next == stretch->count) {
			vmt_priority_queue_pop(&merge->ready);
			merge->emptied = stretch;
			return false;
		}
		item = item_of(stretch);
		if (merge->batch_count == BATCH_RECORDS ||
		    (second != NULL && vmt_priority_queue_is_before(second, &item))) {
			vmt_priority_queue_replace(&merge->ready, item);
			return true;
		}
	}
	vmt_priority_queue_replace(&merge->ready, item);
	return false;
}

static int
fill_batch(struct vmt_merge *merge, struct vmt_err *err)
{
	int result;

	if (merge->emptied != NULL)
		give_back(merge, merge->emptied);
	merge->emptied = NULL;
	merge->batch_count = 0;
	merge->batch_next = 0;
	result = make_ready(merge, err);
	if (result != 0 || merge->ready.count == 0)
		return result;
	if (merge->leaves_rings_out && merge->ready.items[0].time >= merge->until)
		return 0;
	while (merge->batch_count < BATCH_RECORDS && take_from_first(merge))
		;
	return 0;
}

int
vmt_merge_next_batch(struct vmt_merge *merge, const struct vmt_record *const **records,
		     size_t *count, struct vmt_err *err)
{
	int result = fill_batch(merge, err);

	*records = merge->batch;
	*count = merge->batch_count;
	merge->batch_next = merge->batch_count;
	return result;
}

int
vmt_merge_next(struct vmt_merge *merge, struct vmt_record *record, struct vmt_err *err)
{
	int result = 0;

	if (merge->batch_next == merge->batch_count)
		result = fill_batch(merge, err);
	vmt_assert(merge->batch_next <= merge->batch_count);
	record->kind = VMT_RECORD_END;
	if (result == 0 && merge->batch_count > 0)
		*record = *merge->batch[merge->batch_next++];
	return result;
}

uint64_t
vmt_merge_events_unknown(const struct vmt_merge *merge)
{
	return merge->events_unknown;
}

size_t
vmt_merge_chunks_opened(const struct vmt_merge *merge)
{
	return merge->chunks_opened;
}
