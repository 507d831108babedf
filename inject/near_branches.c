#include "inject/near_branches.h"

/* Behind bytes that are no instruction, so many must be read for the next ones to be right. */
#define DOUBT_BYTES 256u

struct near {
	const struct vmt_code_map *map;
	struct vmt_code_watch *watches;
	size_t count;
	uint64_t low; /* [low, high]: what a branch of 1 byte reaches from */
	uint64_t high;
	bool is_known;
};

static void
note(struct near *near, const struct vmt_instruction *instruction, const uint8_t *bytes,
     uint64_t address)
{
	uint64_t target;

	if (vmt_near_branches_target(instruction, address, &target))
		vmt_code_jumps_note(near->watches, near->count, target);
	if (vmt_near_branches_table(instruction, bytes, address, &target))
		vmt_code_jumps_note_table(near->map, near->watches, near->count, target);
}

static void
read_stretch(struct near *near, const struct vmt_code_stretch *stretch)
{
	size_t room = 0;
	const uint8_t *bytes = vmt_code_map_bytes(near->map, stretch->start, &room);
	uint64_t length = stretch->end - stretch->start;

	for (uint64_t at = 0; bytes && at < length;) {
		struct vmt_instruction instruction;
		uint64_t address = stretch->start + at;
		size_t taken = vmt_instruction_length_read(bytes + at, length - at, &instruction);

		if (taken > 0)
			note(near, &instruction, bytes + at, address);
		else if (stretch->is_function ||
			 (address + DOUBT_BYTES > near->low && address <= near->high))
			near->is_known = false;
		at += taken > 0 ? taken : 1;
	}
}

bool
vmt_near_branches_note(const struct vmt_code_map *map, struct vmt_code_watch *watches, size_t count,
		       size_t which)
{
	struct near near = {
	    .map = map,
	    .watches = watches,
	    .count = count,
	    .low = watches[which].low - VMT_NEAR_BRANCHES_BYTES,
	    .high = watches[which].high + VMT_NEAR_BRANCHES_BYTES,
	    .is_known = true,
	};
	uint64_t at = near.low;

	while (at <= near.high) {
		struct vmt_code_stretch stretch;

		if (!vmt_code_map_stretch(map, at, &stretch)) {
			at++; /* before the segment, or behind it */
			continue;
		}
		read_stretch(&near, &stretch);
		at = stretch.end;
	}
	return near.is_known;
}
