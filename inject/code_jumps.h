/*
 * code_jumps.h: does anything lead into the middle of these bytes of code?
 *
 * Looks for every way that the file's own bytes show: relative branches and calls, addresses that
 * code computes (lea) or holds as a number, pointers in data, and tables of distances as compilers
 * make them for a switch. What has 4 bytes is found wherever it stands, unless its function, read
 * from the beginning, has another use for them; so a hit may be a chance, and a miss is none.
 * Branches of 1 byte are the caller's, who knows where instructions begin. What a program computes
 * otherwise (an address plus a number) is not seen; compilers make none of that into the middle of
 * a block.
 *
 * Pure, over the map's copies; the watches are the caller's.
 */
#ifndef VMT_CODE_JUMPS_H
#define VMT_CODE_JUMPS_H

#include "inject/code_map.h"

/* Bytes into which nothing may lead: (low, high], ending with a syscall's first byte. */
struct vmt_code_watch {
	uint64_t low;
	uint64_t high;
	uint64_t last_hit; /* the highest address below high that something leads to; 0: none */
	bool is_high_hit;  /* something leads to high itself */
};

/* Looks through the whole file; the map is settled. Watches are sorted by high, and don't overlap.
 */
void vmt_code_jumps_find(const struct vmt_code_map *map, struct vmt_code_watch *watches,
			 size_t count);

/* Notes that something leads to an address. */
void vmt_code_jumps_note(struct vmt_code_watch *watches, size_t count, uint64_t address);

/* The same of the tables that any code of the file computes the address of. */
void vmt_code_jumps_find_tables(const struct vmt_code_map *map, struct vmt_code_watch *watches,
				size_t count);

/* A table at this address, whose entries are distances from it, of 4 bytes, to code. One of more
 * than 65,536 entries is taken to lead everywhere. */
void vmt_code_jumps_note_table(const struct vmt_code_map *map, struct vmt_code_watch *watches,
			       size_t count, uint64_t table);

#endif
