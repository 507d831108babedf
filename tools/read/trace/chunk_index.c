#include "tools/read/trace/chunk_index.h"

#include "base/assert.h"
#include "format/checksum.h"
#include "format/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A record costs its chunk a bit at the least, as times are never quite alike, and a short file's
 * claims are soon read. */
#define MAX_RECORDS_PER_BYTE 64u
#define ALWAYS_ALLOWED_RECORDS (UINT64_C(1) << 24)
/* Snapshots of a regular memory compress well, but a program's are not all alike. */
#define MAX_BYTES_PER_BYTE 4096u
#define ALWAYS_ALLOWED_BYTES (UINT64_C(4) << 30)
/* PID_MAX_LIMIT of include/linux/threads.h: no process has more threads. */
#define MAX_TASKS (UINT32_C(4) << 20)

bool
vmt_chunk_index_is_sound(const struct vmt_chunk *chunk, const struct vmt_head *head,
			 uint64_t sequence)
{
	if (chunk->magic != VMT_CHUNK_MAGIC || chunk->sequence != sequence)
		return false;
	if (chunk->payload_bytes > VMT_CHUNK_MAX_BYTES || chunk->raw_bytes > VMT_CHUNK_MAX_BYTES)
		return false;
	if (!(chunk->flags & VMT_CHUNK_ZSTD) && chunk->raw_bytes != chunk->payload_bytes)
		return false;
	if (chunk->kind == VMT_CHUNK_TASKS)
		return chunk->raw_bytes <= MAX_TASKS * sizeof(uint32_t);
	if (chunk->kind != VMT_CHUNK_EVENTS)
		return true;
	return chunk->ring < head->shards * VMT_RING_CLASSES && chunk->events <= chunk->raw_bytes &&
	       chunk->position_from <= chunk->position_to &&
	       VMT_CHUNK_THIN_LEVEL(chunk->flags) < VMT_THIN_LEVELS &&
	       (chunk->events == 0 || chunk->time_min <= chunk->time_max);
}

/* CRC-32C of the header with its checksum field zero, then of the payload. */
bool
vmt_chunk_index_is_whole(struct vmt_file_reader *file, const struct vmt_chunk *chunk,
			 uint64_t payload_offset)
{
	struct vmt_chunk header = *chunk;
	uint32_t checksum;
	uint64_t at = payload_offset;
	uint64_t end = payload_offset + chunk->payload_bytes;

	header.checksum = 0;
	checksum = vmt_checksum_update(0, &header, sizeof(header));
	while (at < end) {
		size_t length;
		const unsigned char *bytes = vmt_file_reader_peek(file, at, end - at, &length);

		if (bytes == NULL)
			return false;
		checksum = vmt_checksum_update(checksum, bytes, length);
		at += length;
	}
	return checksum == chunk->checksum;
}

static bool
read_header(struct vmt_file_reader *file, uint64_t offset, struct vmt_chunk *chunk)
{
	size_t length;
	const unsigned char *bytes = vmt_file_reader_peek(file, offset, sizeof(*chunk), &length);

	if (bytes == NULL || length < sizeof(*chunk))
		return false;
	memcpy(chunk, bytes, sizeof(*chunk));
	return true;
}

static bool
add(struct vmt_chunk_index *index, const struct vmt_chunk *chunk, uint64_t payload_offset)
{
	if (index->count == index->room) {
		size_t room = index->room == 0 ? 64 : index->room + index->room / 2;
		struct vmt_trace_chunk *larger =
		    realloc(index->chunks, room * sizeof(*index->chunks));

		if (larger == NULL)
			return false;
		index->chunks = larger;
		index->room = room;
	}
	vmt_assert(index->count < index->room);
	index->chunks[index->count++] =
	    (struct vmt_trace_chunk){.header = *chunk, .payload_offset = payload_offset};
	return true;
}

static void
note_level(struct vmt_chunk_index *index, const struct vmt_chunk *chunk)
{
	uint32_t level = chunk->kind == VMT_CHUNK_EVENTS ? VMT_CHUNK_THIN_LEVEL(chunk->flags) : 0;

	vmt_assert(level < VMT_THIN_LEVELS);
	for (; level > 0 && chunk->time_min < index->thin_from[level]; level--)
		index->thin_from[level] = chunk->time_min;
}

/* How many records of some bytes each a chunk has. Lists of mappings have bytes alone. */
static uint64_t
claimed_records(const struct vmt_chunk *chunk)
{
	switch ((enum vmt_chunk_kind)chunk->kind) {
	case VMT_CHUNK_EVENTS:
	case VMT_CHUNK_TOUCH:
		return chunk->events;
	case VMT_CHUNK_TASKS:
		return chunk->raw_bytes / sizeof(uint32_t);
	case VMT_CHUNK_USAGE:
		return chunk->raw_bytes / vmt_codec_usage_bytes(chunk);
	case VMT_CHUNK_SNAPSHOT:
	case VMT_CHUNK_END:
	case VMT_CHUNK_GO:
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

/* Sums of 32-bit counts: 2^32 headers would not fit a file. */
static int
check_claims(const struct vmt_chunk_index *index, const struct vmt_file_reader *file,
	     struct vmt_err *err)
{
	uint64_t records = 0;
	uint64_t raw_bytes = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < index->count; i++) {
		const struct vmt_chunk *chunk = &index->chunks[i].header;

		records += claimed_records(chunk);
		raw_bytes += chunk->kind == VMT_CHUNK_EVENTS ? 0 : chunk->raw_bytes;
		bytes += sizeof(*chunk) + chunk->payload_bytes;
	}
	if (records > ALWAYS_ALLOWED_RECORDS && records / MAX_RECORDS_PER_BYTE > bytes)
		return vmt_err_set(
		    err, E2BIG,
		    "%s: claims %llu records in %llu bytes, more than any program writes",
		    file->path, (unsigned long long)records, (unsigned long long)bytes);
	if (raw_bytes > ALWAYS_ALLOWED_BYTES && raw_bytes / MAX_BYTES_PER_BYTE > bytes)
		return vmt_err_set(
		    err, E2BIG,
		    "%s: claims %llu bytes of snapshots and lists in %llu, more than "
		    "any program has",
		    file->path, (unsigned long long)raw_bytes, (unsigned long long)bytes);
	return 0;
}

static int
check_kind(struct vmt_chunk_index *index, const struct vmt_chunk *chunk,
	   const struct vmt_file_reader *file, struct vmt_err *err)
{
	if (vmt_chunk_is_known(chunk->kind))
		return 0;
	if (chunk->kind < VMT_CHUNK_MAY_BE_SKIPPED)
		return vmt_err_set(err, EPROTONOSUPPORT,
				   "%s: was made by a newer version of vmtrace: this one can't "
				   "read its chunks of kind %u",
				   file->path, chunk->kind);
	index->unknown++;
	return 0;
}

void
vmt_chunk_index_begin(struct vmt_chunk_index *index, const struct vmt_head *head)
{
	uint64_t offset = head->chunks_offset;

	*index = (struct vmt_chunk_index){.end_offset = offset, .next_offset = offset};
	for (uint32_t level = 1; level < VMT_THIN_LEVELS; level++)
		index->thin_from[level] = UINT64_MAX;
}

int
vmt_chunk_index_extend(struct vmt_chunk_index *index, struct vmt_file_reader *file,
		       const struct vmt_head *head, struct vmt_err *err)
{
	uint64_t offset = index->next_offset;
	struct vmt_chunk chunk;
	int result;

	while (read_header(file, offset, &chunk)) {
		uint64_t payload_offset = offset + sizeof(chunk);

		vmt_assert(payload_offset <= file->bytes);
		if (!vmt_chunk_index_is_sound(&chunk, head, index->count) ||
		    chunk.payload_bytes > file->bytes - payload_offset ||
		    !vmt_chunk_index_is_whole(file, &chunk, payload_offset))
			break;
		result = check_kind(index, &chunk, file, err);
		if (result != 0) {
			vmt_chunk_index_free(index);
			return result;
		}
		if (!add(index, &chunk, payload_offset)) {
			vmt_chunk_index_free(index);
			return vmt_err_set(err, ENOMEM, "%s: no memory for its chunk index",
					   file->path);
		}
		note_level(index, &chunk);
		offset = payload_offset + ((chunk.payload_bytes + UINT64_C(7)) & ~UINT64_C(7));
		index->next_offset = offset;
	}
	index->end_offset = index->next_offset < file->bytes ? index->next_offset : file->bytes;
	assert(index->end_offset <= file->bytes);
	return check_claims(index, file, err);
}

bool
vmt_chunk_index_is_there(const struct vmt_chunk_index *index, const struct vmt_file_reader *file)
{
	const struct vmt_trace_chunk *last;
	struct vmt_chunk now;

	if (index->count == 0)
		return true;
	last = &index->chunks[index->count - 1];
	return last->payload_offset + last->header.payload_bytes <= file->bytes &&
	       vmt_file_reader_read(file, last->payload_offset - sizeof(now), &now, sizeof(now)) &&
	       memcmp(&now, &last->header, sizeof(now)) == 0;
}

void
vmt_chunk_index_free(struct vmt_chunk_index *index)
{
	free(index->chunks);
	*index = (struct vmt_chunk_index){0};
}

const struct vmt_trace_chunk *
vmt_chunk_index_last(const struct vmt_chunk_index *index, enum vmt_chunk_kind kind)
{
	for (size_t i = index->count; i-- > 0;) {
		if (index->chunks[i].header.kind == kind)
			return &index->chunks[i];
	}
	return NULL;
}
