#include "tools/read/trace/payload.h"

#include "tools/read/trace/zstd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define LEAST_ROOM 64u

static bool
make_room(struct vmt_payload_buffer *buffer, size_t length)
{
	unsigned char *larger;

	if (length <= buffer->room && buffer->bytes != NULL)
		return true;
	larger = realloc(buffer->bytes, length < LEAST_ROOM ? LEAST_ROOM : length);
	if (larger == NULL)
		return false;
	buffer->bytes = larger;
	buffer->room = length < LEAST_ROOM ? LEAST_ROOM : length;
	return true;
}

static int
no_memory(const char *path, size_t bytes, struct vmt_err *err)
{
	return vmt_err_set(err, ENOMEM, "%s: no memory for a chunk of %zu bytes", path, bytes);
}

static int
unpack(struct vmt_payload *payload, const char *path, const struct vmt_chunk *chunk,
       struct vmt_err *err)
{
	if (!vmt_zstd_claims(payload->stored.bytes, chunk->payload_bytes, chunk->raw_bytes))
		goto damaged;
	if (!make_room(&payload->raw, chunk->raw_bytes))
		return no_memory(path, chunk->raw_bytes, err);
	if (vmt_zstd_decompress(payload->raw.bytes, chunk->raw_bytes, payload->stored.bytes,
				chunk->payload_bytes))
		return 0;
damaged:
	return vmt_err_set(err, EBADMSG, "%s: chunk %llu can't be decompressed", path,
			   (unsigned long long)chunk->sequence);
}

int
vmt_payload_read(struct vmt_payload *payload, const struct vmt_file_reader *file,
		 const struct vmt_trace_chunk *chunk, const unsigned char **bytes, size_t *length,
		 struct vmt_err *err)
{
	const struct vmt_chunk *header = &chunk->header;
	int result;

	if (!make_room(&payload->stored, header->payload_bytes))
		return no_memory(file->path, header->payload_bytes, err);
	if (!vmt_file_reader_read(file, chunk->payload_offset, payload->stored.bytes,
				  header->payload_bytes))
		return vmt_err_set(err, EIO, "%s: can't be read (did it shrink meanwhile?)",
				   file->path);
	*length = header->raw_bytes;
	*bytes = payload->stored.bytes;
	if (!(header->flags & VMT_CHUNK_ZSTD))
		return 0;
	result = unpack(payload, file->path, header, err);
	*bytes = payload->raw.bytes;
	return result;
}

void
vmt_payload_free(struct vmt_payload *payload)
{
	free(payload->stored.bytes);
	free(payload->raw.bytes);
	*payload = (struct vmt_payload){.stored = {NULL, 0}};
}
