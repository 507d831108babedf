/*
 * byte_buffer.h: bytes that are written one after the other, and are read with bounds.
 *
 * A buffer grows up to `most` bytes. What finds no room is left out and sets has_failed, which is
 * looked at once in the end. Zero it, set most, free bytes in the end. What is read is untrusted:
 * false, and nothing is read past `end`. One thread's.
 */
#ifndef VMT_BYTE_BUFFER_H
#define VMT_BYTE_BUFFER_H

#include "format/varint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct vmt_byte_buffer {
	unsigned char *bytes;
	size_t count;
	size_t room;
	size_t most;
	bool has_failed;
};

static inline bool
vmt_byte_buffer_reserve(struct vmt_byte_buffer *buffer, size_t more)
{
	size_t room = buffer->room ? buffer->room : 4096;
	unsigned char *bytes;

	if (buffer->room - buffer->count >= more && buffer->bytes)
		return true;
	if (buffer->has_failed || more > buffer->most - buffer->count) {
		buffer->has_failed = true;
		return false;
	}
	while (room - buffer->count < more)
		room *= 2;
	bytes = realloc(buffer->bytes, room);
	buffer->has_failed = bytes == NULL;
	if (!bytes)
		return false;
	buffer->bytes = bytes;
	buffer->room = room;
	return true;
}

static inline void
vmt_byte_buffer_put(struct vmt_byte_buffer *buffer, uint64_t value)
{
	unsigned char *end;

	if (!vmt_byte_buffer_reserve(buffer, VMT_VARINT_MAX_BYTES))
		return;
	end = vmt_varint_put(buffer->bytes + buffer->count, value);
	buffer->count = (size_t)(end - buffer->bytes);
}

static inline void
vmt_byte_buffer_put_bytes(struct vmt_byte_buffer *buffer, const void *bytes, size_t count)
{
	if (count == 0 || !vmt_byte_buffer_reserve(buffer, count))
		return;
	memcpy(buffer->bytes + buffer->count, bytes, count);
	buffer->count += count;
}

static inline bool
vmt_byte_buffer_get_bytes(const unsigned char **at, const unsigned char *end, void *bytes,
			  size_t count)
{
	if ((size_t)(end - *at) < count)
		return false;
	memcpy(bytes, *at, count);
	*at += count;
	return true;
}

#endif
