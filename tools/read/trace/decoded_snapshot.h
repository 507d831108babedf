/*
 * decoded_snapshot.h: one snapshot of a trace, decoded
 *
 * Mappings in address order, and the runs of each. In bytes. Made and freed by snapshot_decode.h.
 */
#ifndef VMT_DECODED_SNAPSHOT_H
#define VMT_DECODED_SNAPSHOT_H

#include "format/chunk.h"
#include "format/codec.h"

#include <stdbool.h>
#include <stdint.h>

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

#endif
