/*
 * go_chunk.h: decodes a GO chunk.
 *
 * Takes the payload apart (format/go.h). Bytes are untrusted; objects that do not fit end the list
 * with an error. Objects' data points into the payload.
 */
#ifndef VMT_GO_CHUNK_H
#define VMT_GO_CHUNK_H

#include "format/go.h"
#include "tools/err.h"

#include <stddef.h>

struct vmt_go_chunk_object {
	struct vmt_go_object described; /* its symbol is NUL-terminated */
	const unsigned char *data;	/* described.bytes */
};

struct vmt_go_chunk_read {
	struct vmt_go_counters head;
	struct vmt_go_chunk_object objects[VMT_GO_OBJECTS];
	size_t count;
};

int vmt_go_chunk_read(struct vmt_go_chunk_read *counters, const unsigned char *payload,
		      size_t length, struct vmt_err *err);

#endif
