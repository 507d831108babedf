/*
 * seal_trace.h: makes a hostile trace's checksums right.
 *
 * Checksums would stop nearly every mutation: what a fuzzer makes is sealed, as far as the chunks'
 * own lengths lead: what a hostile writer would have written.
 */
#ifndef SEAL_TRACE_H
#define SEAL_TRACE_H

#include "format/checksum.h"
#include "format/chunk.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The next whole chunk at *at, which moves on; NULL at the end. */
static inline uint8_t *
seal_trace_next(uint8_t *bytes, size_t size, uint64_t *at, struct vmt_chunk *chunk)
{
	uint8_t *found;

	if (*at > size || size - *at < sizeof(*chunk))
		return NULL;
	found = bytes + *at;
	memcpy(chunk, found, sizeof(*chunk));
	if (chunk->payload_bytes > size - *at - sizeof(*chunk))
		return NULL;
	*at = (*at + sizeof(*chunk) + chunk->payload_bytes + 7) & ~UINT64_C(7);
	return found;
}

static inline uint64_t
seal_trace_first(const uint8_t *bytes, size_t size)
{
	struct vmt_head head;

	if (size < sizeof(head))
		return size;
	memcpy(&head, bytes, sizeof(head));
	return head.chunks_offset;
}

static inline void
seal_trace(uint8_t *bytes, size_t size)
{
	uint64_t at = seal_trace_first(bytes, size);
	struct vmt_chunk chunk;
	uint8_t *found;

	while ((found = seal_trace_next(bytes, size, &at, &chunk)) != NULL) {
		uint32_t checksum;

		chunk.checksum = 0;
		checksum = vmt_checksum_update(0, &chunk, sizeof(chunk));
		chunk.checksum =
		    vmt_checksum_update(checksum, found + sizeof(chunk), chunk.payload_bytes);
		memcpy(found, &chunk, sizeof(chunk));
	}
}

/* Numbers the chunks in the order in which they stand. */
static inline void
seal_trace_order(uint8_t *bytes, size_t size)
{
	uint64_t at = seal_trace_first(bytes, size);
	uint64_t sequence = 0;
	struct vmt_chunk chunk;
	uint8_t *found;

	while ((found = seal_trace_next(bytes, size, &at, &chunk)) != NULL) {
		chunk.magic = VMT_CHUNK_MAGIC;
		chunk.sequence = sequence++;
		memcpy(found, &chunk, sizeof(chunk));
	}
}

#endif
