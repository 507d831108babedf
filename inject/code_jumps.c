#include "inject/code_jumps.h"

#include "inject/instruction_length.h"

#include <string.h>

#define TABLE_ENTRIES 4096u /* looked at; a switch with more has no table */
#define LINE_BITS 6u	    /* lines of 64 bytes */
#define LINES 65536u	    /* bits of the filter; lines with the same low bits share one */

/* Most of what looks like an address leads nowhere near a watch: a bit a line tells at once. */
struct filter {
	uint64_t low;
	uint64_t high;
	uint64_t lines[LINES / 64];
};

static void
fill(struct filter *filter, const struct vmt_code_watch *watches, size_t count)
{
	memset(filter, 0, sizeof(*filter));
	filter->low = watches[0].low;
	filter->high = watches[count - 1].high;
	for (size_t i = 0; i < count; i++) {
		if (watches[i].low < filter->low)
			filter->low = watches[i].low;
		for (uint64_t line = watches[i].low >> LINE_BITS;
		     line <= watches[i].high >> LINE_BITS; line++)
			filter->lines[line % LINES / 64] |= UINT64_C(1) << line % 64;
	}
}

static inline bool
may_hit(const struct filter *filter, uint64_t address)
{
	uint64_t line = address >> LINE_BITS;

	return address - filter->low <= filter->high - filter->low &&
	       (filter->lines[line % LINES / 64] >> line % 64 & 1) != 0;
}

void
vmt_code_jumps_note(struct vmt_code_watch *watches, size_t count, uint64_t address)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) { /* the first that ends there or behind it */
		size_t middle = low + (high - low) / 2;

		if (watches[middle].high < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || address <= watches[low].low)
		return;
	if (address == watches[low].high)
		watches[low].is_high_hit = true;
	else if (address > watches[low].last_hit)
		watches[low].last_hit = address;
}

/* Branches, calls and computed addresses have an opcode right before their 4 bytes: e8, e9, 0f 80
 * to 0f 8f; c7 f8; 8d and a ModRM byte for an address relative to the next instruction. */
static inline bool
is_before_distance(uint8_t before, uint8_t last)
{
	if (last == 0xe8 || last == 0xe9)
		return true;
	return (before == 0x0f && (last & 0xf0) == 0x80) ||
	       (before == 0x8d && (last & 0xc7) == 5) || (before == 0xc7 && last == 0xf8);
}

/* Whether the instruction that has these 4 bytes in it, read from its function's beginning, has
 * another use for them: they only look like a distance. In doubt it has not. */
static bool
is_no_distance(const struct vmt_code_map *map, uint64_t address)
{
	struct vmt_code_stretch stretch;
	struct vmt_instruction instruction;
	const uint8_t *bytes;
	size_t room = 0;
	uint64_t at;

	if (!vmt_code_map_stretch(map, address, &stretch) || !stretch.is_function)
		return false;
	at = stretch.start;
	bytes = vmt_code_map_bytes(map, at, &room);
	while (bytes && at < stretch.end) {
		size_t taken = vmt_instruction_length_read(bytes + (at - stretch.start),
							   stretch.end - at, &instruction);

		if (taken == 0)
			return false;
		if (address < at + taken)
			return address - at != instruction.rip_displacement_at &&
			       address + 4 != at + taken;
		at += taken;
	}
	return false;
}

static void
find_in_code(const struct vmt_code_map *map, const struct vmt_code_segment *code,
	     const struct filter *filter, struct vmt_code_watch *watches, size_t count)
{
	const uint8_t *bytes = code->bytes;
	const uint64_t span = filter->high - filter->low;

	for (uint64_t at = 2; at + 4 <= code->length; at++) {
		int32_t distance;
		uint64_t target;

		memcpy(&distance, bytes + at, sizeof(distance));
		target = code->address + at + 4 + (uint64_t)(int64_t)distance;
		/* Few do, and the processor foresees that: so this is asked first. */
		if (target - filter->low <= span && may_hit(filter, target) &&
		    is_before_distance(bytes[at - 2], bytes[at - 1]) &&
		    !is_no_distance(map, code->address + at))
			vmt_code_jumps_note(watches, count, target);
	}
}

/* Code that holds an address as a number: mov to a register, push, cmp, and mov to memory, whose
 * operand takes up to 3 bytes. */
static inline bool
is_before_number(const uint8_t *at)
{
	return (at[-1] & 0xf8) == 0xb8 || at[-1] == 0x68 || at[-1] == 0x3d || at[-2] == 0x81 ||
	       at[-2] == 0xc7 || at[-3] == 0xc7 || at[-4] == 0xc7;
}

/* Only in a file that lies where numbers of 4 bytes reach. */
static void
find_numbers(const struct vmt_code_segment *code, const struct filter *filter,
	     struct vmt_code_watch *watches, size_t count)
{
	if (filter->low > UINT32_MAX)
		return;
	for (uint64_t at = 4; at + 4 <= code->length; at++) {
		uint32_t number;

		memcpy(&number, code->bytes + at, sizeof(number));
		if (number >= filter->low && may_hit(filter, number) &&
		    is_before_number(code->bytes + at))
			vmt_code_jumps_note(watches, count, number);
	}
}

/* bias: a file that was moved, and not relocated yet, has its own addresses in its relocations. */
static void
find_pointers(const struct vmt_code_segment *data, uint64_t bias, const struct filter *filter,
	      struct vmt_code_watch *watches, size_t count)
{
	for (uint64_t at = -data->address % 8; at + 8 <= data->length; at += 8) {
		uint64_t pointer;

		memcpy(&pointer, data->bytes + at, sizeof(pointer));
		if (may_hit(filter, pointer))
			vmt_code_jumps_note(watches, count, pointer);
		if (bias != 0 && may_hit(filter, pointer + bias))
			vmt_code_jumps_note(watches, count, pointer + bias);
	}
}

void
vmt_code_jumps_find(const struct vmt_code_map *map, struct vmt_code_watch *watches, size_t count)
{
	struct filter filter;

	if (count == 0)
		return;
	fill(&filter, watches, count);
	for (uint32_t i = 0; i < map->segments_count; i++) {
		const struct vmt_code_segment *segment = &map->segments[i];

		find_pointers(segment, map->bias, &filter, watches, count);
		if (!segment->is_code)
			continue;
		find_in_code(map, segment, &filter, watches, count);
		find_numbers(segment, &filter, watches, count);
	}
}

static bool
is_code(const struct vmt_code_map *map, uint64_t address)
{
	struct vmt_code_stretch stretch;

	return vmt_code_map_stretch(map, address, &stretch);
}

void
vmt_code_jumps_note_table(const struct vmt_code_map *map, struct vmt_code_watch *watches,
			  size_t count, uint64_t table)
{
	size_t room;
	const uint8_t *bytes = vmt_code_map_bytes(map, table, &room);

	if (!bytes)
		return;
	for (size_t i = 0; i < TABLE_ENTRIES && (i + 1) * 4 <= room; i++) {
		int32_t distance;
		uint64_t target;

		memcpy(&distance, bytes + i * 4, sizeof(distance));
		target = table + (uint64_t)(int64_t)distance;
		if (!is_code(map, target))
			return;
		vmt_code_jumps_note(watches, count, target);
	}
}
