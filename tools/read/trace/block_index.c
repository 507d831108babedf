#include "tools/read/trace/block_index.h"

#include "base/assert.h"
#include "format/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_RECORDS VMT_SORTED_RUN_MAX_RECORDS

uint32_t
vmt_block_index_records(const struct vmt_chunk *chunk)
{
	switch ((enum vmt_chunk_kind)chunk->kind) {
	case VMT_CHUNK_EVENTS:
	case VMT_CHUNK_TOUCH:
		return chunk->events;
	case VMT_CHUNK_USAGE:
		return chunk->raw_bytes / (uint32_t)vmt_codec_usage_bytes(chunk);
	case VMT_CHUNK_SNAPSHOT:
		return 1;
	case VMT_CHUNK_END: /* no record in the order of time: who needs one looks it up */
	case VMT_CHUNK_GO:
	case VMT_CHUNK_TASKS:
	case VMT_CHUNK_TITLE:
	case VMT_CHUNK_ALLOCATOR:
	case VMT_CHUNK_NAMES:
	case VMT_CHUNK_JIT:
	case VMT_CHUNK_UNTRACED:
	case VMT_CHUNK_GO_HEAP:
	case VMT_CHUNK_GO_PROFILE:
	case VMT_CHUNK_GO_LARGE:
		return 0;
	}
	return 0; /* a kind that may be skipped */
}

struct vmt_block_index *
vmt_block_index_new(const struct vmt_chunk *chunk, const unsigned char *bytes, size_t length)
{
	uint32_t records = vmt_block_index_records(chunk);
	uint32_t blocks = records / BLOCK_RECORDS + (records % BLOCK_RECORDS != 0);
	struct vmt_block_index *source =
	    malloc(sizeof(*source) + blocks * sizeof(source->block[0]));

	if (source == NULL)
		return NULL;
	*source = (struct vmt_block_index){
	    .length = length, .records = records, .blocks = blocks, .blocks_left = blocks};
	source->payload = malloc(length);
	if (source->payload == NULL) {
		free(source);
		return NULL;
	}
	memcpy(source->payload, bytes, length);
	return source;
}

void
vmt_block_index_free(struct vmt_block_index *source)
{
	if (source == NULL)
		return;
	free(source->payload);
	free(source);
}

/* By the times alone: whether the blocks come in order. */
static bool
find_in_order(struct vmt_block_index *source, const struct vmt_chunk *chunk,
	      const struct vmt_sorted_run_cursor *begin)
{
	struct vmt_columns_decoder times = begin->events;
	uint64_t before = chunk->time_min;

	for (uint32_t i = 0; i < source->blocks; i++) {
		uint32_t left = source->records - i * BLOCK_RECORDS;
		uint64_t *time_min = &source->block[i].time_min;

		if (!vmt_columns_pass_times(&times, left < BLOCK_RECORDS ? left : BLOCK_RECORDS,
					    time_min) ||
		    *time_min < before)
			return false;
		before = *time_min;
	}
	source->block[0].cursor = *begin;
	return true;
}

/* By all of each record. */
static int
find_by_records(struct vmt_block_index *source, const struct vmt_chunk *chunk,
		struct vmt_sorted_run_cursor *cursor)
{
	struct vmt_record record;

	for (uint32_t i = 0; i < source->records; i++) {
		struct vmt_block_index_entry *block = &source->block[i / BLOCK_RECORDS];

		assert(i / BLOCK_RECORDS < source->blocks);
		if (i % BLOCK_RECORDS == 0)
			*block = (struct vmt_block_index_entry){*cursor, UINT64_MAX};
		if (!vmt_sorted_run_decode(chunk, cursor, &record))
			return -EBADMSG;
		if (record.time < block->time_min)
			block->time_min = record.time;
	}
	return vmt_sorted_run_is_done(cursor) ? 0 : -EBADMSG;
}

int
vmt_block_index_find(struct vmt_block_index *source, const struct vmt_chunk *chunk,
		     struct vmt_touch_stacks *stacks)
{
	struct vmt_sorted_run_cursor cursor;
	int result = vmt_sorted_run_begin(&cursor, chunk, source->payload, source->length, stacks);

	vmt_assert(source->blocks_left == source->blocks);
	if (result != 0)
		return result;
	source->in_order = chunk->kind == VMT_CHUNK_EVENTS && find_in_order(source, chunk, &cursor);
	return source->in_order ? 0 : find_by_records(source, chunk, &cursor);
}

bool
vmt_block_index_decoded(struct vmt_block_index *source, uint32_t block)
{
	assert(block < source->blocks && source->blocks_left > 0);
	source->blocks_left--;
	if (!source->in_order)
		return true;
	if (block + 1 == source->blocks)
		return vmt_sorted_run_is_done(&source->block[block].cursor);
	source->block[block + 1].cursor = source->block[block].cursor;
	return true;
}
