#include "tools/read/merge.h"

#include "format/columns.h"
#include "tools/read/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Records decoded at a time; a chunk's payload is held until its last block has been. */
#define BLOCK_RECORDS 1024u
/* Of payloads held, and records decoded, at once. A collector's chunks have some thousand records;
 * only what was made to get there gets there. */
#define MAX_HELD_BYTES (UINT64_C(256) << 20)
#define MAX_READY_RECORDS (UINT32_C(1) << 21)

/* Order of records of equal time: by rank, then by place in the file. */
enum rank { RANK_RELEASE, RANK_ACQUIRE, RANK_NOTE, RANK_USAGE, RANK_SNAPSHOT };
#define RANK_SHIFT 60
#define CHUNK_SHIFT 28
#define MAX_CHUNKS UINT32_MAX /* as a chunk's number, that of the rings' remains: behind all */
#define WHOLE_CHUNK 0u	      /* in a pending item: not opened yet; else a block's number + 1 */

/* How far a payload has been decoded. */
struct cursor {
	struct vmt_columns_decoder events;
	const unsigned char *at; /* USAGE: the next record */
	const unsigned char *end;
};

struct block {
	struct cursor cursor; /* as it stands before the block's first record */
	uint64_t time_min;
};

/* A chunk whose payload is held. */
struct source {
	unsigned char *payload;
	size_t length;
	uint32_t records;
	uint32_t blocks;
	uint32_t blocks_left; /* not yet decoded */
	struct block block[];
};

struct vmt_merge {
	struct vmt_trace *trace;
	const struct vmt_trace_chunk *chunks;
	struct source **sources; /* by chunk; NULL = not open */
	size_t chunk_count;
	uint64_t held_bytes;
	struct vmt_queue pending; /* chunks and blocks, by their earliest record */
	struct vmt_queue ready;	  /* decoded records; value = place in records */
	struct vmt_record *records;
	size_t records_room;
	size_t free_record; /* first of a list chained by time; records_room = none */
	const struct vmt_event *ring_events;
	size_t ring_count;
	size_t ring_next;
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
	return vmt_err_set(err, EBADMSG, "%s: chunk %zu is malformed behind a good checksum",
			   vmt_trace_path(merge->trace), chunk);
}

static enum rank
rank_of(const struct vmt_record *record)
{
	/* Roles plus one; 0 = a kind that this version does not know. */
	static const uint8_t role_of_kind[VMT_EVENT_KINDS] = {
#define X(name, id, ring, role, call) [id] = VMT_ROLE_##role + 1,
		VMT_EVENTS(X)
#undef X
	};

	if (record->kind == VMT_RECORD_USAGE)
		return RANK_USAGE;
	if (record->kind == VMT_RECORD_SNAPSHOT)
		return RANK_SNAPSHOT;
	switch (role_of_kind[record->event.kind]) {
	case VMT_ROLE_RELEASE + 1:
		return RANK_RELEASE;
	case VMT_ROLE_ACQUIRE + 1:
		return RANK_ACQUIRE;
	default:
		return RANK_NOTE;
	}
}

/* Makes more places for records and chains them. */
static bool
grow_records(struct vmt_merge *merge)
{
	size_t room = merge->records_room == 0 ? BLOCK_RECORDS : merge->records_room * 2;
	struct vmt_record *larger = realloc(merge->records, room * sizeof(*larger));

	if (larger == NULL)
		return false;
	for (size_t i = merge->records_room; i < room; i++)
		larger[i].time = i + 1;
	assert(merge->free_record == merge->records_room);
	merge->records = larger;
	merge->records_room = room;
	return true;
}

/* Queues a record that is the place-th of its chunk. */
static bool
add_ready(struct vmt_merge *merge, const struct vmt_record *record, uint64_t chunk, uint64_t place)
{
	static const uint64_t last_place = (UINT64_C(1) << CHUNK_SHIFT) - 1;
	size_t slot = merge->free_record;
	struct vmt_queue_item item = {.time = record->time, .value = slot};

	if (place > last_place)
		place = last_place;
	item.order = (uint64_t)rank_of(record) << RANK_SHIFT | chunk << CHUNK_SHIFT | place;
	if (slot == merge->records_room && !grow_records(merge))
		return false;
	if (!vmt_queue_push(&merge->ready, item))
		return false;
	merge->free_record = merge->records[slot].time;
	merge->records[slot] = *record;
	return true;
}

static int
too_much(struct vmt_merge *merge, struct vmt_err *err)
{
	return vmt_err_set(err, E2BIG, "%s: more records of one time than any program makes",
			   vmt_trace_path(merge->trace));
}

/* Records in a chunk, by its header. */
static uint32_t
record_count(const struct vmt_chunk *chunk)
{
	switch (chunk->kind) {
	case VMT_CHUNK_EVENTS:
		return chunk->events;
	case VMT_CHUNK_USAGE:
		return chunk->raw_bytes / (uint32_t)sizeof(struct vmt_usage);
	case VMT_CHUNK_SNAPSHOT:
		return 1;
	default:
		return 0;
	}
}

static bool
begin_cursor(struct cursor *cursor, const struct vmt_chunk *chunk, const unsigned char *bytes,
	     size_t length)
{
	*cursor = (struct cursor){.at = bytes, .end = bytes + length};
	if (chunk->kind != VMT_CHUNK_EVENTS || length == 0)
		return true;
	cursor->at = cursor->end;
	return vmt_columns_begin_decode(&cursor->events, bytes, length);
}

/* The next event or usage of a payload; false where the bytes or its time are not what the header
 * promised. An earlier time than that would come too late in the stream. */
static bool
decode_record(const struct vmt_chunk *chunk, struct cursor *cursor, struct vmt_record *record)
{
	if (chunk->kind == VMT_CHUNK_EVENTS) {
		record->kind = VMT_RECORD_EVENT;
		if (!vmt_columns_get(&cursor->events, &record->event))
			return false;
		record->time = record->event.time;
	} else {
		record->kind = VMT_RECORD_USAGE;
		if ((size_t)(cursor->end - cursor->at) < sizeof(record->usage))
			return false;
		memcpy(&record->usage, cursor->at, sizeof(record->usage));
		cursor->at += sizeof(record->usage);
		record->time = record->usage.time;
	}
	return record->time >= chunk->time_min;
}

/* First pass over a payload: where each block begins and its earliest record. */
static bool
find_blocks(struct source *source, const struct vmt_chunk *chunk)
{
	struct cursor cursor;
	struct vmt_record record;

	if (!begin_cursor(&cursor, chunk, source->payload, source->length))
		return false;
	for (uint32_t i = 0; i < source->records; i++) {
		struct block *block = &source->block[i / BLOCK_RECORDS];

		if (i % BLOCK_RECORDS == 0)
			*block = (struct block){cursor, UINT64_MAX};
		if (!decode_record(chunk, &cursor, &record))
			return false;
		if (record.time < block->time_min)
			block->time_min = record.time;
	}
	return cursor.at == cursor.end && vmt_columns_is_done(&cursor.events);
}

static void
close_source(struct vmt_merge *merge, size_t chunk)
{
	struct source *source = merge->sources[chunk];

	if (source == NULL)
		return;
	assert(merge->held_bytes >= source->length);
	merge->held_bytes -= source->length;
	merge->sources[chunk] = NULL;
	free(source->payload);
	free(source);
}

/* A copy of the payload, since the trace gives the same buffer to whoever asks next. */
static struct source *
make_source(const struct vmt_chunk *chunk, const unsigned char *bytes, size_t length)
{
	uint32_t records = record_count(chunk);
	uint32_t blocks = records / BLOCK_RECORDS + (records % BLOCK_RECORDS != 0);
	struct source *source = malloc(sizeof(*source) + blocks * sizeof(source->block[0]));

	if (source == NULL)
		return NULL;
	*source = (struct source){.length = length, .records = records, .blocks = blocks};
	source->blocks_left = blocks;
	source->payload = malloc(length);
	if (source->payload == NULL) {
		free(source);
		return NULL;
	}
	memcpy(source->payload, bytes, length);
	return source;
}

static int
add_snapshot(struct vmt_merge *merge, size_t chunk, const unsigned char *bytes, size_t length,
	     struct vmt_err *err)
{
	struct vmt_record record = {.kind = VMT_RECORD_SNAPSHOT, .snapshot = &merge->chunks[chunk]};
	struct vmt_snapshot_head head;

	if (length < sizeof(head))
		return malformed(merge, chunk, err);
	memcpy(&head, bytes, sizeof(head));
	if (head.time < merge->chunks[chunk].header.time_min)
		return malformed(merge, chunk, err);
	record.time = head.time;
	return add_ready(merge, &record, chunk, 0) ? 0 : out_of_memory(merge, err);
}

static int
hold_source(struct vmt_merge *merge, size_t chunk, const unsigned char *bytes, size_t length,
	    struct vmt_err *err)
{
	const struct vmt_chunk *header = &merge->chunks[chunk].header;
	struct source *source = make_source(header, bytes, length);

	if (source == NULL)
		return out_of_memory(merge, err);
	merge->sources[chunk] = source;
	merge->held_bytes += length;
	if (merge->held_bytes > MAX_HELD_BYTES)
		return too_much(merge, err);
	if (!find_blocks(source, header))
		return malformed(merge, chunk, err);
	for (uint32_t i = 0; i < source->blocks; i++) {
		struct vmt_queue_item item = {source->block[i].time_min, i,
					      (uint64_t)chunk << 32 | (i + 1)};

		if (!vmt_queue_push(&merge->pending, item))
			return out_of_memory(merge, err);
	}
	return 0;
}

static int
open_chunk(struct vmt_merge *merge, size_t chunk, struct vmt_err *err)
{
	const unsigned char *bytes;
	size_t length;
	int result = vmt_trace_payload(merge->trace, &merge->chunks[chunk], &bytes, &length, err);

	if (result != 0)
		return result;
	if (merge->chunks[chunk].header.kind == VMT_CHUNK_SNAPSHOT)
		return add_snapshot(merge, chunk, bytes, length, err);
	return hold_source(merge, chunk, bytes, length, err);
}

static int
open_block(struct vmt_merge *merge, size_t chunk, uint32_t block, struct vmt_err *err)
{
	struct source *source = merge->sources[chunk];
	struct cursor cursor = source->block[block].cursor;
	uint32_t first = block * BLOCK_RECORDS;
	struct vmt_record record;

	assert(block < source->blocks && source->blocks_left > 0);
	if (merge->ready.count > MAX_READY_RECORDS)
		return too_much(merge, err);
	for (uint32_t i = first; i < source->records && i < first + BLOCK_RECORDS; i++) {
		if (!decode_record(&merge->chunks[chunk].header, &cursor, &record))
			return malformed(merge, chunk, err);
		if (!add_ready(merge, &record, chunk, i))
			return out_of_memory(merge, err);
	}
	if (--source->blocks_left == 0)
		close_source(merge, chunk);
	return 0;
}

static int
open_pending(struct vmt_merge *merge, struct vmt_err *err)
{
	struct vmt_queue_item item = vmt_queue_pop(&merge->pending);
	size_t chunk = item.value >> 32;
	uint32_t part = (uint32_t)item.value;

	assert(chunk < merge->chunk_count);
	if (part == WHOLE_CHUNK)
		return open_chunk(merge, chunk, err);
	return open_block(merge, chunk, part - 1, err);
}

static int
add_ring_event(struct vmt_merge *merge, struct vmt_err *err)
{
	const struct vmt_event *event = &merge->ring_events[merge->ring_next];
	struct vmt_record record = {.kind = VMT_RECORD_EVENT, .time = event->time, .event = *event};

	if (!add_ready(merge, &record, MAX_CHUNKS, merge->ring_next))
		return out_of_memory(merge, err);
	merge->ring_next++;
	return 0;
}

static int
queue_chunks(struct vmt_merge *merge, struct vmt_err *err)
{
	for (size_t i = 0; i < merge->chunk_count; i++) {
		const struct vmt_chunk *header = &merge->chunks[i].header;
		struct vmt_queue_item item = {header->time_min, i, (uint64_t)i << 32 | WHOLE_CHUNK};

		if (record_count(header) > 0 && !vmt_queue_push(&merge->pending, item))
			return out_of_memory(merge, err);
	}
	return 0;
}

int
vmt_merge_open(struct vmt_merge **out, struct vmt_trace *trace, struct vmt_err *err)
{
	struct vmt_merge *merge = calloc(1, sizeof(*merge));
	int result;

	*out = NULL;
	if (merge == NULL)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", vmt_trace_path(trace));
	merge->trace = trace;
	merge->chunks = vmt_trace_chunks(trace, &merge->chunk_count);
	merge->ring_events = vmt_trace_ring_events(trace, &merge->ring_count);
	merge->sources = calloc(merge->chunk_count + 1, sizeof(struct source *));
	if (merge->sources == NULL)
		result = out_of_memory(merge, err);
	else if (merge->chunk_count >= MAX_CHUNKS)
		result = vmt_err_set(err, E2BIG, "%s: has too many chunks", vmt_trace_path(trace));
	else
		result = queue_chunks(merge, err);
	if (result != 0)
		vmt_merge_close(merge);
	else
		*out = merge;
	return result;
}

void
vmt_merge_close(struct vmt_merge *merge)
{
	if (merge == NULL)
		return;
	for (size_t i = 0; merge->sources != NULL && i < merge->chunk_count; i++)
		close_source(merge, i);
	free(merge->sources);
	free(merge->records);
	vmt_queue_free(&merge->pending);
	vmt_queue_free(&merge->ready);
	free(merge);
}

/* Decodes until nothing that is still coded can precede, or tie with, the first ready record. */
static int
make_ready(struct vmt_merge *merge, struct vmt_err *err)
{
	int result = 0;

	while (result == 0) {
		uint64_t limit = merge->ready.count > 0 ? merge->ready.items[0].time : UINT64_MAX;

		if (merge->pending.count > 0 && merge->pending.items[0].time <= limit)
			result = open_pending(merge, err);
		else if (merge->ring_next < merge->ring_count &&
			 merge->ring_events[merge->ring_next].time <= limit)
			result = add_ring_event(merge, err);
		else
			break;
	}
	return result;
}

int
vmt_merge_next(struct vmt_merge *merge, struct vmt_record *record, struct vmt_err *err)
{
	int result = make_ready(merge, err);
	struct vmt_queue_item item;

	record->kind = VMT_RECORD_END;
	if (result != 0 || merge->ready.count == 0)
		return result;
	item = vmt_queue_pop(&merge->ready);
	assert(item.value < merge->records_room);
	*record = merge->records[item.value];
	assert(record->kind != VMT_RECORD_END && record->time == item.time);
	merge->records[item.value].time = merge->free_record;
	merge->free_record = item.value;
	return 0;
}
