/*
 * block_index.h: where each block of records begins in a large chunk.
 *
 * A chunk says the time of its earliest record alone. Of one that holds more records than the merge
 * decodes at a time, a first pass over the payload finds each block's own. Of events it reads the
 * times alone: where no block has an earlier one than the block before, as in what a ring holds,
 * each begins where the one before ended, and that is known when it is decoded. Holds the payload,
 * which is untrusted.
 */
#ifndef VMT_BLOCK_INDEX_H
#define VMT_BLOCK_INDEX_H

#include "format/chunk.h"
#include "tools/read/trace/sorted_run.h"

#include <stdbool.h>

struct vmt_block_index_entry {
	/* As it stands before the block's first record; where the blocks come in order, once the
	 * block before is decoded. */
	struct vmt_sorted_run_cursor cursor;
	uint64_t time_min;
};

struct vmt_block_index {
	unsigned char *payload;
	size_t length;
	uint32_t records;
	uint32_t blocks;
	uint32_t blocks_left; /* not yet decoded */
	bool in_order;	      /* the blocks' earliest records rise: they are decoded one by one */
	struct vmt_block_index_entry block[];
};

/* Records in a chunk, by its header. */
uint32_t vmt_block_index_records(const struct vmt_chunk *chunk);

/* Copies the payload; NULL when there is no memory. */
struct vmt_block_index *vmt_block_index_new(const struct vmt_chunk *chunk,
					    const unsigned char *bytes, size_t length);
void vmt_block_index_free(struct vmt_block_index *source);

/* Fills in the blocks. 0, -ENOMEM, or -EBADMSG where the payload is not what the header promised.
 */
int vmt_block_index_find(struct vmt_block_index *source, const struct vmt_chunk *chunk,
			 struct vmt_touch_stacks *stacks);

/* A block was decoded, with its own cursor. False where the payload is not what the header
 * promised. */
bool vmt_block_index_decoded(struct vmt_block_index *source, uint32_t block);

#endif
