#include "format/codec.h"

#include "base/assert.h"
#include "format/varint.h"

#include <string.h>

/* As in version 5. */
#define SNAPSHOT_HEAD_MIN_BYTES 104u
#define USAGE_MIN_BYTES 80u

static void
put_varint(struct vmt_encoder *encoder, uint64_t value)
{
	encoder->at = vmt_varint_put(encoder->at, value);
}

static void
put_delta(struct vmt_encoder *encoder, uint64_t value, uint64_t previous)
{
	put_varint(encoder, vmt_varint_fold(value - previous));
}

static bool
get_byte(struct vmt_decoder *decoder, uint8_t *byte)
{
	return vmt_varint_get_byte(&decoder->at, decoder->end, byte);
}

static bool
get_varint(struct vmt_decoder *decoder, uint64_t *value)
{
	return vmt_varint_get(&decoder->at, decoder->end, value);
}

static bool
get_bounded(struct vmt_decoder *decoder, uint64_t limit, uint64_t *value)
{
	return vmt_varint_get_bounded(&decoder->at, decoder->end, limit, value);
}

static bool
get_delta(struct vmt_decoder *decoder, uint64_t previous, uint64_t *value)
{
	uint64_t coded;

	if (!get_varint(decoder, &coded))
		return false;
	*value = previous + vmt_varint_unfold(coded);
	return true;
}

static size_t
get_record(uint32_t stored_bytes, size_t oldest_bytes, const unsigned char *at, size_t length,
	   void *record, size_t record_bytes)
{
	size_t stored = stored_bytes != 0 ? stored_bytes : oldest_bytes;

	if (stored < oldest_bytes || stored > length)
		return 0;
	memset(record, 0xff, record_bytes);
	memcpy(record, at, stored < record_bytes ? stored : record_bytes);
	return stored;
}

size_t
vmt_codec_get_snapshot_head(const struct vmt_chunk *chunk, const unsigned char *payload,
			    size_t length, struct vmt_snapshot_head *head)
{
	return get_record(chunk->record_bytes, SNAPSHOT_HEAD_MIN_BYTES, payload, length, head,
			  sizeof(*head));
}

size_t
vmt_codec_usage_bytes(const struct vmt_chunk *chunk)
{
	return chunk->record_bytes > USAGE_MIN_BYTES ? chunk->record_bytes : USAGE_MIN_BYTES;
}

size_t
vmt_codec_get_usage(const struct vmt_chunk *chunk, const unsigned char *at, size_t length,
		    struct vmt_usage *usage)
{
	return get_record(chunk->record_bytes, USAGE_MIN_BYTES, at, length, usage, sizeof(*usage));
}

size_t
vmt_codec_get_untraced(const struct vmt_chunk *chunk, const unsigned char *at, size_t length,
		       struct vmt_untraced *record)
{
	return get_record(chunk->record_bytes, sizeof(*record), at, length, record,
			  sizeof(*record));
}

void
vmt_codec_begin_encode(struct vmt_encoder *encoder, void *bytes, size_t length)
{
	encoder->at = bytes;
	encoder->end = encoder->at + length;
	encoder->address = 0;
}

void
vmt_codec_begin_decode(struct vmt_decoder *decoder, const void *bytes, size_t length)
{
	decoder->at = bytes;
	decoder->end = decoder->at + length;
	decoder->address = 0;
}

static size_t
room(const struct vmt_encoder *encoder)
{
	return (size_t)(encoder->end - encoder->at);
}

/* The next delta counts from the mapping's start: the first run often begins there. */
bool
vmt_codec_put_mapping(struct vmt_encoder *encoder, const struct vmt_mapping *mapping, uint32_t runs)
{
	if (room(encoder) < (size_t)VMT_CODEC_MAPPING_MAX_BYTES + mapping->path_bytes ||
	    mapping->end < mapping->start)
		return false;
	put_delta(encoder, mapping->start, encoder->address);
	put_varint(encoder, mapping->end - mapping->start);
	put_varint(encoder, mapping->file_offset);
	put_varint(encoder, mapping->inode);
	put_varint(encoder, mapping->device);
	*encoder->at++ = mapping->protection;
	*encoder->at++ = (uint8_t)(mapping->shared | mapping->hugetlb << 1);
	put_varint(encoder, runs);
	put_varint(encoder, mapping->path_bytes);
	if (mapping->path_bytes != 0)
		memcpy(encoder->at, mapping->path, mapping->path_bytes);
	encoder->at += mapping->path_bytes;
	vmt_assert(encoder->at <= encoder->end);
	encoder->address = mapping->start;
	return true;
}

bool
vmt_codec_get_mapping(struct vmt_decoder *decoder, struct vmt_mapping *mapping, uint32_t *runs)
{
	uint64_t length, device, run_count, path_bytes;
	uint8_t kind;

	memset(mapping, 0, sizeof(*mapping));
	if (!get_delta(decoder, decoder->address, &mapping->start) ||
	    !get_bounded(decoder, UINT64_MAX - mapping->start, &length) ||
	    !get_varint(decoder, &mapping->file_offset) || !get_varint(decoder, &mapping->inode) ||
	    !get_bounded(decoder, UINT32_MAX, &device) ||
	    !get_byte(decoder, &mapping->protection) || !get_byte(decoder, &kind) || kind > 3 ||
	    !get_bounded(decoder, UINT32_MAX, &run_count) ||
	    !get_bounded(decoder, UINT16_MAX, &path_bytes) ||
	    path_bytes > (size_t)(decoder->end - decoder->at))
		return false;
	mapping->end = mapping->start + length;
	mapping->shared = kind & 1;
	mapping->hugetlb = kind >> 1;
	mapping->device = (uint32_t)device;
	mapping->path_bytes = (uint16_t)path_bytes;
	mapping->path = (const char *)decoder->at;
	decoder->at += path_bytes;
	vmt_assert(decoder->at <= decoder->end && mapping->start <= mapping->end);
	*runs = (uint32_t)run_count;
	decoder->address = mapping->start;
	return true;
}

bool
vmt_codec_put_run(struct vmt_encoder *encoder, const struct vmt_run *run)
{
	if (room(encoder) < VMT_CODEC_RUN_MAX_BYTES)
		return false;
	put_delta(encoder, run->start, encoder->address);
	put_varint(encoder, run->bytes);
	put_varint(encoder, run->kind);
	vmt_assert(encoder->at <= encoder->end);
	encoder->address = run->start + run->bytes;
	return true;
}

bool
vmt_codec_get_run(struct vmt_decoder *decoder, struct vmt_run *run)
{
	uint64_t kind;

	memset(run, 0, sizeof(*run));
	if (!get_delta(decoder, decoder->address, &run->start) ||
	    !get_bounded(decoder, UINT64_MAX - run->start, &run->bytes) ||
	    !get_bounded(decoder, UINT32_MAX, &kind))
		return false;
	run->kind = (uint32_t)kind;
	vmt_assert(decoder->at <= decoder->end);
	decoder->address = run->start + run->bytes;
	return true;
}
