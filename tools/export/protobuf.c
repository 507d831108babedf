#include "tools/export/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_BYTES = 2 };

#define VARINT_MOST_BYTES 10u

static bool
make_room(struct vmt_protobuf *message, size_t more)
{
	size_t room = message->room ? message->room : 256;
	unsigned char *bytes;

	while (room - message->length < more && room < SIZE_MAX / 2)
		room *= 2;
	if (room == message->room)
		return true;
	bytes = room - message->length < more ? NULL : realloc(message->bytes, room);
	if (!bytes) {
		message->failed = true;
		return false;
	}
	message->bytes = bytes;
	message->room = room;
	return true;
}

static void
put_bytes(struct vmt_protobuf *message, const void *bytes, size_t length)
{
	if (length == 0 || !make_room(message, length))
		return;
	memcpy(message->bytes + message->length, bytes, length);
	message->length += length;
}

static void
put_varint(struct vmt_protobuf *message, uint64_t value)
{
	unsigned char bytes[VARINT_MOST_BYTES];
	size_t length = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[length++] = (unsigned char)(value | 0x80);
	bytes[length++] = (unsigned char)value;
	put_bytes(message, bytes, length);
}

static void
put_key(struct vmt_protobuf *message, uint32_t field, enum wire_type type)
{
	put_varint(message, (uint64_t)field << 3 | type);
}

void
vmt_protobuf_varint(struct vmt_protobuf *message, uint32_t field, uint64_t value)
{
	put_key(message, field, WIRE_VARINT);
	put_varint(message, value);
}

static void
put_field(struct vmt_protobuf *message, uint32_t field, const void *bytes, size_t length)
{
	put_key(message, field, WIRE_BYTES);
	put_varint(message, length);
	put_bytes(message, bytes, length);
}

void
vmt_protobuf_string(struct vmt_protobuf *message, uint32_t field, const char *text)
{
	put_field(message, field, text, strlen(text));
}

void
vmt_protobuf_packed(struct vmt_protobuf *message, uint32_t field, const uint64_t *values,
		    size_t count)
{
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		length++;
		for (uint64_t value = values[i]; value >= 0x80; value >>= 7)
			length++;
	}
	put_key(message, field, WIRE_BYTES);
	put_varint(message, length);
	for (size_t i = 0; i < count; i++)
		put_varint(message, values[i]);
}

void
vmt_protobuf_message(struct vmt_protobuf *message, uint32_t field, struct vmt_protobuf *inner)
{
	put_field(message, field, inner->bytes, inner->length);
	message->failed |= inner->failed;
	inner->length = 0;
}

void
vmt_protobuf_join(struct vmt_protobuf *message, const struct vmt_protobuf *other)
{
	put_bytes(message, other->bytes, other->length);
	message->failed |= other->failed;
}

void
vmt_protobuf_free(struct vmt_protobuf *message)
{
	free(message->bytes);
	*message = (struct vmt_protobuf){0};
}
