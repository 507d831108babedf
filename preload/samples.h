/*
 * samples.h: was this block recorded when it was made, and how large is it?
 *
 * A table of the live recorded blocks, address to size, in private memory: in sampled mode all of
 * them, so that every release of one is matched; in `all` those of VMT_SAMPLES_LARGE_BYTES and
 * more, whose committed bytes are looked at when they are released. A counting filter of 32 KiB in
 * front keeps the release of any other block off the table's cold lines.
 *
 * Lock-free. A block belongs to one thread at a time (the program's own ordering of making and
 * releasing it), so an address is never added and removed at once; different addresses may be.
 * Signal safe. A fork child starts empty: the blocks it inherits are its parent's.
 */
#ifndef VMT_SAMPLES_H
#define VMT_SAMPLES_H

#include "format/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_SAMPLES_LARGE_BYTES (UINT64_C(64) << 10)
#define VMT_SAMPLES_FILTER_CELLS (UINT32_C(1) << 15)

#define VMT_SAMPLES_LINE_ENTRIES 3u

struct vmt_sample {
	uint64_t address; /* 0 = free; set by CAS, cleared by a release store */
	uint64_t size;
};

/* One cache line. */
struct vmt_samples_line {
	struct vmt_sample entries[VMT_SAMPLES_LINE_ENTRIES];
	uint32_t elsewhere; /* entries whose home is this line but that stand in a later one */
	uint32_t padding[3];
};

_Static_assert(sizeof(struct vmt_samples_line) == 64, "one cache line");

struct vmt_samples {
	uint8_t *filter; /* per cell: live blocks that hash to it; 255 = that or more, for ever */
	struct vmt_samples_line *lines;
	uint64_t line_mask;
};

extern struct vmt_samples vmt_samples_table;

static inline uint64_t
vmt_samples_hash(const void *block)
{
	return ((uint64_t)(uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15);
}

/* False: the block is not in the table. True: perhaps. Only after vmt_samples_set_up. */
static inline bool
vmt_samples_may_have(const void *block)
{
	const uint8_t *cell =
	    &vmt_samples_table.filter[vmt_samples_hash(block) >> 49]; /* 15 bits */

	return vmt_atomic_load_relaxed(cell) != 0;
}

/* Makes an empty table with this many lines (power of two). False: no memory. */
bool vmt_samples_set_up(uint64_t lines);

/* False when the table is full round the block's home; the caller then does not record it. */
bool vmt_samples_add(const void *block, uint64_t size);

/* Takes the block out. False: it was not there. */
bool vmt_samples_remove(const void *block, uint64_t *size);

/* Empties the table (fork child, one thread). */
void vmt_samples_clear(void);

#endif
