/*
 * payload.h: the payload of one chunk, decompressed.
 *
 * Bytes are untrusted: an error, never a crash. Memory is that of the largest chunk that was read,
 * twice. One thread's.
 */
#ifndef VMT_PAYLOAD_H
#define VMT_PAYLOAD_H

#include "tools/err.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/trace_chunk.h"

#include <stddef.h>

struct vmt_payload_buffer {
	unsigned char *bytes;
	size_t room;
};

/* All zero: nothing has been read yet. */
struct vmt_payload {
	struct vmt_payload_buffer stored; /* as in the file */
	struct vmt_payload_buffer raw;	  /* decompressed */
};

/* The header was checked (chunk_index.h). *bytes are valid until the next call. 0, or a negative
 * errno with a message. */
int vmt_payload_read(struct vmt_payload *payload, const struct vmt_file_reader *file,
		     const struct vmt_trace_chunk *chunk, const unsigned char **bytes,
		     size_t *length, struct vmt_err *err);
void vmt_payload_free(struct vmt_payload *payload);

#endif
