#include "collect/writer.h"

#include "base/assert.h"
#include "base/sys.h"
#include "format/checksum.h"

#include <errno.h>
#include <sys/uio.h>

/* Payloads below this gain nothing by a zstd frame. */
#define COMPRESS_MIN_BYTES 128u

#define CHUNK_PARTS 3

/* Steps `done` bytes into the parts. */
static void
skip_written(struct iovec *parts, size_t done)
{
	for (int i = 0; i < CHUNK_PARTS; i++) {
		size_t step = done < parts[i].iov_len ? done : parts[i].iov_len;

		parts[i].iov_base = (char *)parts[i].iov_base + step;
		parts[i].iov_len -= step;
		done -= step;
	}
	vmt_assert(done == 0);
}

/* Writes all parts at the end of the file; 0 or negative errno, the end unmoved. */
static int
write_parts(const struct vmt_writer *writer, struct iovec *parts, uint64_t total_bytes)
{
	uint64_t written = 0;

	while (written < total_bytes) {
		long result = vmt_sys_call6(SYS_pwritev, writer->fd, (long)parts, CHUNK_PARTS,
					    (long)(writer->end_bytes + written), 0, 0);

		if (result == -EINTR)
			continue;
		if (result <= 0) {
			vmt_sys_call2(SYS_ftruncate, writer->fd, writer->end_bytes);
			return result < 0 ? (int)result : -EIO;
		}
		written += (uint64_t)result;
		vmt_assert(written <= total_bytes);
		skip_written(parts, (size_t)result);
	}
	return 0;
}

/* Replaces the payload by its compressed form where that is smaller. */
static const void *
pack(struct vmt_writer *writer, struct vmt_chunk *chunk, const void *payload)
{
	size_t packed_bytes;

	if (!writer->compress || chunk->raw_bytes < COMPRESS_MIN_BYTES ||
	    !vmt_buffer_reserve(writer->packed, chunk->raw_bytes))
		return payload;
	packed_bytes = writer->compress(writer->compress_context, writer->packed->bytes,
					chunk->raw_bytes - 1, payload, chunk->raw_bytes);
	if (packed_bytes == 0 || packed_bytes >= chunk->raw_bytes)
		return payload;
	chunk->flags |= VMT_CHUNK_ZSTD;
	chunk->payload_bytes = (uint32_t)packed_bytes;
	return writer->packed->bytes;
}

int
vmt_writer_append(struct vmt_writer *writer, struct vmt_chunk *chunk, const void *payload,
		  size_t payload_bytes)
{
	static char zeros[8];
	struct iovec parts[CHUNK_PARTS];
	uint64_t padding, total_bytes;
	int result;

	if (payload_bytes > VMT_CHUNK_MAX_BYTES)
		return -EMSGSIZE;
	result = writer->prepare ? writer->prepare(writer->prepare_context) : 0;
	if (result < 0)
		return result;
	chunk->magic = VMT_CHUNK_MAGIC;
	chunk->checksum = 0;
	chunk->sequence = writer->sequence;
	chunk->raw_bytes = chunk->payload_bytes = (uint32_t)payload_bytes;
	payload = pack(writer, chunk, payload);
	chunk->checksum = vmt_checksum_update(vmt_checksum_update(0, chunk, sizeof(*chunk)),
					      payload, chunk->payload_bytes);
	padding = -(uint64_t)chunk->payload_bytes & 7;
	total_bytes = sizeof(*chunk) + chunk->payload_bytes + padding;
	vmt_assert(vmt_chunk_is_known(chunk->kind));
	vmt_assert(total_bytes % 8 == 0 && writer->end_bytes % 8 == 0);
	vmt_assert(chunk->payload_bytes <= chunk->raw_bytes);
	vmt_assert(chunk->kind != VMT_CHUNK_EVENTS || chunk->position_from <= chunk->position_to);
	vmt_assert(chunk->kind != VMT_CHUNK_EVENTS || chunk->time_min <= chunk->time_max);
	parts[0] = (struct iovec){chunk, sizeof(*chunk)};
	parts[1] = (struct iovec){(void *)(uintptr_t)payload, chunk->payload_bytes};
	parts[2] = (struct iovec){zeros, padding};
	result = writer->bound
		     ? vmt_bound_check(writer->bound, chunk, total_bytes, writer->end_bytes)
		     : 0;
	if (result == 0)
		result = write_parts(writer, parts, total_bytes);
	if (result < 0)
		return result;
	if (writer->bound)
		vmt_bound_note(writer->bound, chunk, total_bytes);
	writer->end_bytes += total_bytes;
	vmt_assert(!writer->bound || writer->bound->end_bytes == 0 ||
		   chunk->kind == VMT_CHUNK_END || writer->end_bytes <= writer->bound->end_bytes);
	writer->sequence++;
	return 0;
}
