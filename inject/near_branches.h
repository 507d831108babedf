/*
 * near_branches.h: do the short branches and the tables of the code nearby lead into these bytes?
 *
 * What inject/code_jumps.h leaves to who knows where instructions begin: branches of 1 byte, and
 * tables of distances that the code names. Reads the functions, and the code between them, that lie
 * so near to a watch that a branch of 1 byte reaches it. Pure.
 */
#ifndef VMT_NEAR_BRANCHES_H
#define VMT_NEAR_BRANCHES_H

#include "inject/code_jumps.h"
#include "inject/instruction_length.h"

#include <string.h>

#define VMT_NEAR_BRANCHES_BYTES 130u /* how far such a branch reaches, its own bytes with it */

/* Where the instruction at `address` goes by a distance of 1 byte. False: it doesn't. */
static inline bool
vmt_near_branches_target(const struct vmt_instruction *instruction, uint64_t address,
			 uint64_t *target)
{
	*target = address + instruction->length + (uint64_t)(int64_t)instruction->distance;
	return vmt_instruction_has_target(instruction) &&
	       instruction->immediate_at + 1u == instruction->length;
}

/* The address that a lea computes from its own. False: it is none. bytes: the instruction's. */
static inline bool
vmt_near_branches_table(const struct vmt_instruction *instruction, const uint8_t *bytes,
			uint64_t address, uint64_t *table)
{
	int32_t displacement;

	if (instruction->rip_displacement_at == 0 || instruction->map != VMT_MAP_ONE_BYTE ||
	    instruction->opcode != 0x8d)
		return false;
	memcpy(&displacement, bytes + instruction->rip_displacement_at, sizeof(displacement));
	*table = address + instruction->length + (uint64_t)(int64_t)displacement;
	return true;
}

/* Notes what leads into the watches. False: in the function of watch `which`, or so near to it that
 * it matters, are bytes that are no instruction; so nobody knows. */
bool vmt_near_branches_note(const struct vmt_code_map *map, struct vmt_code_watch *watches,
			    size_t count, size_t which);

#endif
