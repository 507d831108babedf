/*
 * protobuf.h: writes the wire format of protocol buffers.
 *
 * A message is a growable buffer; a message in a message is written by itself first, then put in.
 * Fields are written as they are told, zero too. Source: protobuf.dev, "Encoding". An append that
 * finds no memory is remembered: `failed` says so at the end, once. One thread's.
 */
#ifndef VMT_PROTOBUF_H
#define VMT_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is an empty message. */
struct vmt_protobuf {
	unsigned char *bytes;
	size_t length;
	size_t room;
	bool failed;
};

/* Also int64 (negative ones as 64 bits), bool and enum. */
void vmt_protobuf_varint(struct vmt_protobuf *message, uint32_t field, uint64_t value);
void vmt_protobuf_string(struct vmt_protobuf *message, uint32_t field, const char *text);
void vmt_protobuf_packed(struct vmt_protobuf *message, uint32_t field, const uint64_t *values,
			 size_t count);
/* Puts the inner message in, and empties it for the next. */
void vmt_protobuf_message(struct vmt_protobuf *message, uint32_t field, struct vmt_protobuf *inner);
/* Fields of another message of the same type, behind this one's. */
void vmt_protobuf_join(struct vmt_protobuf *message, const struct vmt_protobuf *other);

void vmt_protobuf_free(struct vmt_protobuf *message);

#endif
