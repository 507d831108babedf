#include "inject/near_branches.h"

static bool
note_stretch(const struct vmt_code_map *map, const struct vmt_code_stretch *stretch,
	     struct vmt_code_watch *watches, size_t count)
{
	size_t room = 0;
	const uint8_t *bytes = vmt_code_map_bytes(map, stretch->start, &room);
	uint64_t length = stretch->end - stretch->start;

	for (uint64_t at = 0; bytes && at < length;) {
		struct vmt_instruction instruction;
		uint64_t address = stretch->start + at;
		uint64_t target;
		size_t taken = vmt_instruction_length_read(bytes + at, length - at, &instruction);

		if (taken == 0)
			return false;
		if (vmt_near_branches_target(&instruction, address, &target))
			vmt_code_jumps_note(watches, count, target);
		if (vmt_near_branches_table(&instruction, bytes + at, address, &target))
			vmt_code_jumps_note_table(map, watches, count, target);
		at += taken;
	}
	return true;
}

bool
vmt_near_branches_note(const struct vmt_code_map *map, struct vmt_code_watch *watches, size_t count,
		       size_t which)
{
	uint64_t at = watches[which].low - VMT_NEAR_BRANCHES_BYTES;
	uint64_t end = watches[which].high + VMT_NEAR_BRANCHES_BYTES;
	bool is_known = true;

	while (at <= end) {
		struct vmt_code_stretch stretch;

		if (!vmt_code_map_stretch(map, at, &stretch)) {
			at++; /* before the segment, or behind it */
			continue;
		}
		/* A gap may hold padding that is no code: of bytes there only known ones count. */
		if (!note_stretch(map, &stretch, watches, count) && stretch.is_function)
			is_known = false;
		at = stretch.end;
	}
	return is_known;
}
