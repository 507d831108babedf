/*
 * blocks.h: the live blocks of the heap, by address.
 *
 * A table from a block's address to its size and site: open addressing in buckets of a cache line,
 * which count what passed them by, so that a deletion leaves nothing behind. Where a trace's
 * addresses all meet in one place, the hash is seeded (hash_seed.h). A block takes 17 bytes of
 * table; the table grows by a third when three quarters are used. Addresses and sizes have 48 bits,
 * the address is never 0. Every event of the heap asks it: among a million live blocks a pair of
 * malloc and free took 361 ns, with hash_table.h 541 ns and 104 bytes a block.
 *
 * One thread at a time. vmt_blocks_put returns -ENOMEM and changes nothing where memory is short.
 */
#ifndef VMT_BLOCKS_H
#define VMT_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_block {
	uint64_t address;
	uint64_t size;
	uint32_t site;
};

struct vmt_blocks;

struct vmt_blocks *vmt_blocks_new(void);
/* The same blocks. NULL: no memory. */
struct vmt_blocks *vmt_blocks_copy(const struct vmt_blocks *blocks);
/* Whether children that are forked from now on have the blocks too: at first they have not. */
void vmt_blocks_fork(struct vmt_blocks *blocks, bool with_it);
void vmt_blocks_free(struct vmt_blocks *blocks);

/* Adds a block. Where the address is live already, *old receives what it replaces and *replaced is
 * true. */
int vmt_blocks_put(struct vmt_blocks *blocks, const struct vmt_block *block, struct vmt_block *old,
		   bool *replaced);

/* Adds a block unless its address is live. -ENOMEM as vmt_blocks_put. */
int vmt_blocks_add(struct vmt_blocks *blocks, const struct vmt_block *block, bool *is_live);

/* Takes a block out; false when the address is not live. */
bool vmt_blocks_take(struct vmt_blocks *blocks, uint64_t address, struct vmt_block *block);

bool vmt_blocks_find(const struct vmt_blocks *blocks, uint64_t address, struct vmt_block *block);

bool vmt_blocks_has(const struct vmt_blocks *blocks, uint64_t address);

/* Brings the place of an address that will be asked for soon into the caches. */
void vmt_blocks_prefetch(const struct vmt_blocks *blocks, uint64_t address);

/* The site of a block, should a look at one place tell; else what was given. */
uint32_t vmt_blocks_guess_site(const struct vmt_blocks *blocks, uint64_t address,
			       uint32_t otherwise);

size_t vmt_blocks_count(const struct vmt_blocks *blocks);
size_t vmt_blocks_table_bytes(const struct vmt_blocks *blocks); /* what may be looked at */
uint64_t vmt_blocks_bytes(const struct vmt_blocks *blocks);	/* sum of their sizes */

/* Walks all blocks, in no order: start with *cursor = 0; false after the last. No change between.
 */
bool vmt_blocks_walk(const struct vmt_blocks *blocks, size_t *cursor, struct vmt_block *block);

/* Every entry can be found from its home, and all, and their ways, are counted. For tests. */
bool vmt_blocks_check(const struct vmt_blocks *blocks);

/* The buckets that looks for each block would pass, all in all. For tests. */
uint64_t vmt_blocks_passed(const struct vmt_blocks *blocks);

#endif
