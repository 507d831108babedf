/*
 * trace_chunk.h: one chunk of a trace: its header and where its payload lies.
 */
#ifndef VMT_TRACE_CHUNK_H
#define VMT_TRACE_CHUNK_H

#include "format/chunk.h"

#include <stdint.h>

/* Checked by chunk_index.h. */
struct vmt_trace_chunk {
	struct vmt_chunk header;
	uint64_t payload_offset;
};

#endif
