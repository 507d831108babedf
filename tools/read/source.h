/*
 * source.h: where in a large chunk does each block of records begin?
 *
 * A chunk says the time of its earliest record alone. Of one that holds more records than the merge
 * decodes at a time, a first pass over the payload finds each block's own. Holds the payload, which
 * is untrusted.
 */
#ifndef VMT_SOURCE_H
#define VMT_SOURCE_H

#include "format/chunk.h"
#include "tools/read/stretch.h"

#include <stdbool.h>

struct vmt_source_block {
	struct vmt_stretch_cursor cursor; /* as it stands before the block's first record */
	uint64_t time_min;
};

struct vmt_source {
	unsigned char *payload;
	size_t length;
	uint32_t records;
	uint32_t blocks;
	uint32_t blocks_left; /* not yet decoded: the owner's */
	struct vmt_source_block block[];
};

/* Records in a chunk, by its header. */
uint32_t vmt_source_records(const struct vmt_chunk *chunk);

/* Copies the payload; NULL when there is no memory. */
struct vmt_source *vmt_source_new(const struct vmt_chunk *chunk, const unsigned char *bytes,
				  size_t length);
void vmt_source_free(struct vmt_source *source);

/* Fills in the blocks; false where the payload is not what the header promised. */
bool vmt_source_find_blocks(struct vmt_source *source, const struct vmt_chunk *chunk);

#endif
