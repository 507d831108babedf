/*
 * samples.h: the live blocks that were recorded, and their sizes
 *
 * A table of the live recorded blocks, address to size, in private memory: in sampled mode all of
 * them, so that every release of one is matched; in `all` those of VMT_SAMPLES_LARGE_BYTES and
 * more, whose committed bytes are looked at when they are released.
 *
 * In front of it a counting filter keeps the release of any other block off the table's lines. Its
 * cells stand in the order of the addresses, one a granule: a line of it covers 64 granules of the
 * heap, so it is in the cache where the program's blocks are, and pages of it are used only where
 * recorded blocks have been. With a granule of T/128 (T = sampling interval) one in some 128 cells
 * counts a live block, however many there are.
 *
 * The table has levels, each four times the one before. An entry goes to the first level with room
 * near its home, and a level is mapped only when those before it are full of live blocks: memory
 * and address space follow the largest number of live blocks, not the length of the run. Where a
 * level cannot be mapped (a limit, a seccomp filter), the block does not fit.
 *
 * Lock-free. A block belongs to one thread at a time (the program's own ordering of making and
 * releasing it), so an address is never added and removed at once; different addresses may be.
 * Signal safe. A fork child starts empty: the blocks it inherits are its parent's.
 */
#ifndef VMT_SAMPLES_H
#define VMT_SAMPLES_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_SAMPLES_LARGE_BYTES (UINT64_C(64) << 10)
#define VMT_SAMPLES_LEVELS 8u
#define VMT_SAMPLES_FIRST_LINES UINT64_C(256)
/* Mapped at once: room for some 16,000 live blocks, in 336 KiB. */
#define VMT_SAMPLES_FIRST_LEVELS 3u
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
	uint8_t *filter; /* per cell: live blocks that belong to it; 255 = that or more, for ever */
	uint64_t cell_mask;
	uint32_t granule_bits;
	uint32_t levels; /* levels that exist ... */
	uint32_t used;	 /* ... and those that ever held an entry: the first ones */
	uint64_t line_masks[VMT_SAMPLES_LEVELS];
	struct vmt_samples_line *lines[VMT_SAMPLES_LEVELS]; /* by level; NULL: not mapped yet */
};

struct vmt_samples_size {
	uint64_t lines; /* of the last level: power of two */
	uint64_t cells; /* power of two */
	uint32_t granule_bits;
};

extern struct vmt_samples vmt_samples_table;

static inline uint8_t *
vmt_samples_cell(const void *block)
{
	const struct vmt_samples *table = &vmt_samples_table;

	return &table->filter[(uintptr_t)block >> table->granule_bits & table->cell_mask];
}

/* False: the block is not in the table. True: perhaps. Only after vmt_samples_set_up. */
static inline bool
vmt_samples_may_have(const void *block)
{
	return vmt_atomic_load_relaxed(vmt_samples_cell(block)) != 0;
}

/* The size for a sampling interval in bytes; 0: large blocks alone. `scarce`: with a small filter,
 * which stays when all else has gone. */
struct vmt_samples_size vmt_samples_size_for(uint64_t interval_bytes, bool scarce);

/* Makes an empty table. False: no memory. */
bool vmt_samples_set_up(const struct vmt_samples_size *size);

/* False when all levels are full round the block's home; the caller then does not record it. */
bool vmt_samples_add(const void *block, uint64_t size);

/* Takes the block out. False: it was not there. */
bool vmt_samples_remove(const void *block, uint64_t *size);

/* Empties the table (fork child, one thread). */
void vmt_samples_clear(void);

/* Maps a few more levels while system calls may still be made. */
void vmt_samples_provide(void);

/* Unmaps all levels, when nobody is inside the tracer any more, nor will be. The filter stays: the
 * hooks ask it before they enter. */
void vmt_samples_unmap(void);
/* Unmaps the filter as well, where recording never began. */
void vmt_samples_abandon(void);
/* What vmt_samples_unmap would unmap. */
uint64_t vmt_samples_mapped_bytes(void);

#endif
