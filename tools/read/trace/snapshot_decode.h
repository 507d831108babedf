/*
 * snapshot_decode.h: decodes and checks one snapshot.
 *
 * A snapshot chunk, decoded: mappings in address order and each one's runs. Owns its memory, which
 * is bounded by the chunk's size. Checks order, nesting and overlap: bytes are untrusted.
 */
#ifndef VMT_SNAPSHOT_DECODE_H
#define VMT_SNAPSHOT_DECODE_H

#include "tools/read/trace/trace.h"

struct vmt_snapshot_mapping {
	struct vmt_mapping mapping; /* path points into the snapshot's own copy */
	uint32_t first_run;
	uint32_t runs;
};

struct vmt_snapshot {
	struct vmt_snapshot_head head;
	bool coarse; /* VMT_CHUNK_COARSE: sums hold, places of runs may not */
	struct vmt_snapshot_mapping *mappings;
	struct vmt_run *runs;
	char *paths;
};

int vmt_snapshot_decode(struct vmt_snapshot *snapshot, struct vmt_trace *trace,
			const struct vmt_trace_chunk *chunk, struct vmt_err *err);
void vmt_snapshot_decode_free(struct vmt_snapshot *snapshot);

#endif
