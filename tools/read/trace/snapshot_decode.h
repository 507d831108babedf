/*
 * snapshot_decode.h: decodes and checks one snapshot.
 *
 * A snapshot chunk, decoded: mappings in address order and each one's runs. Owns its memory, which
 * is bounded by the chunk's size. Checks order, nesting and overlap: bytes are untrusted. Its runs
 * tell the zero page also where the collector could not, if the kernel's figures allow
 * (zero_pages.h).
 */
#ifndef VMT_SNAPSHOT_DECODE_H
#define VMT_SNAPSHOT_DECODE_H

#include "tools/read/trace/decoded_snapshot.h"
#include "tools/read/trace/trace.h"

int vmt_snapshot_decode(struct vmt_snapshot *snapshot, struct vmt_trace *trace,
			const struct vmt_trace_chunk *chunk, struct vmt_err *err);
void vmt_snapshot_decode_free(struct vmt_snapshot *snapshot);

#endif
