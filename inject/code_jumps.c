#include "inject/code_jumps.h"

#include "inject/byte_skip.h"
#include "inject/instruction_length.h"

#include <string.h>

#define TABLE_ENTRIES 65536u /* looked at; what lies behind them may lead anywhere */
#define LINE_BITS 6u	     /* lines of 64 bytes */
#define PART_BYTES 65536u    /* of code, from which distances to the watches are much the same */
#define LINES 65536u	     /* bits of the filter; lines with the same low bits share one */

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

/* The watch of an address, where that is new. NULL: there is none, or it knows as much. */
static struct vmt_code_watch *
find_watch(struct vmt_code_watch *watches, size_t count, uint64_t address)
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
		return NULL;
	if (address == watches[low].high)
		return watches[low].is_high_hit ? NULL : &watches[low];
	return address > watches[low].last_hit ? &watches[low] : NULL;
}

void
vmt_code_jumps_note(struct vmt_code_watch *watches, size_t count, uint64_t address)
{
	struct vmt_code_watch *watch = find_watch(watches, count, address);

	if (!watch)
		return;
	if (address == watch->high)
		watch->is_high_hit = true;
	else
		watch->last_hit = address;
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

/* What leads somewhere from one segment. */
struct scan {
	const struct vmt_code_map *map;
	const struct vmt_code_segment *segment;
	const struct filter *filter;
	struct vmt_code_watch *watches;
	size_t count;
};

struct part {
	uint64_t from; /* in the segment's bytes */
	uint64_t to;
};

/* 4 bytes behind an opcode that has a distance there. Calls of a function whose watch lies in the
 * same line are many: their own functions are not read for them. */
static inline void
note_distance(const struct scan *scan, uint64_t at)
{
	int32_t distance;
	uint64_t target;

	memcpy(&distance, scan->segment->bytes + at, sizeof(distance));
	target = scan->segment->address + at + 4 + (uint64_t)(int64_t)distance;
	if (may_hit(scan->filter, target) && find_watch(scan->watches, scan->count, target) &&
	    !is_no_distance(scan->map, scan->segment->address + at))
		vmt_code_jumps_note(scan->watches, scan->count, target);
}

static void
note_number(const struct scan *scan, uint64_t at)
{
	uint32_t number;

	memcpy(&number, scan->segment->bytes + at, sizeof(number));
	if (number >= scan->filter->low && may_hit(scan->filter, number))
		vmt_code_jumps_note(scan->watches, scan->count, number);
}

static void
note_place(const struct scan *scan, uint64_t at)
{
	if (vmt_byte_scan_is_distance(scan->segment->bytes + at))
		note_distance(scan, at);
	if (at >= VMT_BYTE_SCAN_BEFORE && vmt_byte_scan_is_number(scan->segment->bytes + at))
		note_number(scan, at);
}

struct distances {
	uint32_t low;
	uint32_t high; /* counted on from low also beyond the largest one */
};

/* From places in the part to a watch. */
static struct distances
distances_of(const struct scan *scan, const struct part *part)
{
	uint64_t low = scan->filter->low - (scan->segment->address + part->to + 4);
	uint64_t high = scan->filter->high - (scan->segment->address + part->from + 4);

	if (high - low > UINT32_MAX)
		return (struct distances){0, UINT32_MAX};
	return (struct distances){(uint32_t)low, (uint32_t)high};
}

/* False: numbers of 4 bytes don't reach where the file lies. */
static bool
set_numbers(const struct scan *scan, struct vmt_byte_scan_bounds *bounds)
{
	uint64_t high = scan->filter->high < UINT32_MAX ? scan->filter->high : UINT32_MAX;

	if (scan->filter->low > UINT32_MAX)
		return false;
	vmt_byte_scan_set_bounds(bounds, (uint32_t)scan->filter->low, (uint32_t)high);
	return true;
}

/* The 4 bytes at each place of the part, from VMT_BYTE_SCAN_BEFORE on, by their highest two first:
 * from most of the code few lead near a watch. */
static void
find_within(const struct scan *scan, const struct part *part,
	    const struct vmt_byte_scan_bounds *one, const struct vmt_byte_scan_bounds *other)
{
	const uint8_t *bytes = scan->segment->bytes;
	uint64_t room = scan->segment->length;
	uint64_t at = vmt_byte_skip_neither(bytes, part->from, part->to, one, other);

	while (at + VMT_BYTE_SCAN_PLACES <= part->to && at + VMT_BYTE_SCAN_ROOM <= room) {
		for (uint32_t found = vmt_byte_scan_either(bytes + at, one, other); found != 0;
		     found &= found - 1)
			note_place(scan, at + (uint32_t)__builtin_ctz(found));
		at = vmt_byte_skip_neither(bytes, at + VMT_BYTE_SCAN_PLACES, part->to, one, other);
	}
	for (; at < part->to; at++)
		note_place(scan, at);
}

/* Around the watches themselves distances are below and above 0, which have no high bytes in
 * common. */
static void
find_in_part(const struct scan *scan, const struct part *part)
{
	struct distances distances = distances_of(scan, part);
	struct vmt_byte_scan_bounds below;
	struct vmt_byte_scan_bounds above;
	struct vmt_byte_scan_bounds numbers;
	bool has_numbers = set_numbers(scan, &numbers);

	if (distances.low <= distances.high) {
		vmt_byte_scan_set_bounds(&above, distances.low, distances.high);
		find_within(scan, part, &above, has_numbers ? &numbers : &above);
		return;
	}
	vmt_byte_scan_set_bounds(&below, distances.low, UINT32_MAX);
	vmt_byte_scan_set_bounds(&above, 0, distances.high);
	find_within(scan, part, &below, &above);
	if (has_numbers)
		find_within(scan, part, &numbers, &numbers);
}

static void
find_in_code(const struct scan *scan)
{
	uint64_t end = scan->segment->length < 4 ? 0 : scan->segment->length - 3;

	for (uint64_t at = 2; at < VMT_BYTE_SCAN_BEFORE && at < end; at++)
		note_place(scan, at);
	for (uint64_t at = VMT_BYTE_SCAN_BEFORE; at < end; at += PART_BYTES) {
		struct part part = {at, end - at < PART_BYTES ? end : at + PART_BYTES};

		find_in_part(scan, &part);
	}
}

static void
note_pointer(const struct scan *scan, uint64_t at, uint64_t bias)
{
	uint64_t pointer;

	memcpy(&pointer, scan->segment->bytes + at, sizeof(pointer));
	if (may_hit(scan->filter, pointer + bias))
		vmt_code_jumps_note(scan->watches, scan->count, pointer + bias);
}

/* Words of a part of the segment that are, with the bias, an address near the watches. */
static void
find_words(const struct scan *scan, const struct part *part, uint64_t bias)
{
	const uint8_t *bytes = scan->segment->bytes;
	uint64_t low = scan->filter->low - bias;
	uint64_t high = scan->filter->high - bias;
	uint64_t at = part->from + -(scan->segment->address + part->from) % 8;

	if (low >> 32 == high >> 32)
		at = vmt_byte_skip_words(bytes, at, part->to, low, high);
	while (low >> 32 == high >> 32 && at + VMT_BYTE_SCAN_WORDS * 8 <= part->to) {
		for (uint32_t found = vmt_byte_scan_words(bytes + at, low, high); found != 0;
		     found &= found - 1)
			note_pointer(scan, at + 8 * (uint32_t)__builtin_ctz(found), bias);
		at = vmt_byte_skip_words(bytes, at + VMT_BYTE_SCAN_WORDS * 8, part->to, low, high);
	}
	for (; at + 8 <= part->to; at += 8)
		note_pointer(scan, at, bias);
}

/* A file that was moved, and not relocated yet, has its own addresses in its relocations. */
static void
find_pointers_in(const struct scan *scan, const struct part *part)
{
	find_words(scan, part, 0);
	if (scan->map->bias != 0)
		find_words(scan, part, scan->map->bias);
}

/* Everywhere but in the table. What lies around it belongs to no word of it. */
static void
find_pointers(const struct scan *scan)
{
	struct part before = {0, scan->segment->length};
	struct part behind = before;
	uint64_t table = scan->map->table - scan->segment->address;

	if (table < scan->segment->length &&
	    scan->map->table_bytes <= scan->segment->length - table) {
		before.to = table;
		behind.from = table + scan->map->table_bytes;
		find_pointers_in(scan, &behind);
	}
	find_pointers_in(scan, &before);
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

		struct scan scan = {map, segment, &filter, watches, count};

		find_pointers(&scan);
		if (segment->is_code)
			find_in_code(&scan);
	}
}

static bool
is_code(const struct vmt_code_map *map, uint64_t address)
{
	for (uint32_t i = 0; i < map->segments_count; i++)
		if (address - map->segments[i].address < map->segments[i].length)
			return map->segments[i].is_code;
	return false;
}

static void
note_all(struct vmt_code_watch *watches, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		watches[i].last_hit = watches[i].high - 1;
		watches[i].is_high_hit = true;
	}
}

void
vmt_code_jumps_note_table(const struct vmt_code_map *map, struct vmt_code_watch *watches,
			  size_t count, uint64_t table)
{
	size_t room;
	const uint8_t *bytes = vmt_code_map_bytes(map, table, &room);

	if (!bytes)
		return;
	for (size_t i = 0; (i + 1) * 4 <= room; i++) {
		int32_t distance;
		uint64_t target;

		if (i == TABLE_ENTRIES) {
			note_all(watches, count);
			return;
		}
		memcpy(&distance, bytes + i * 4, sizeof(distance));
		target = table + (uint64_t)(int64_t)distance;
		if (!is_code(map, target))
			return;
		vmt_code_jumps_note(watches, count, target);
	}
}

/* A lea at this place, if its bytes are one. */
static void
note_lea(const struct scan *scan, uint64_t at)
{
	int32_t distance;

	memcpy(&distance, scan->segment->bytes + at + 2, sizeof(distance));
	vmt_code_jumps_note_table(scan->map, scan->watches, scan->count,
				  scan->segment->address + at + 6 + (uint64_t)(int64_t)distance);
}

/* What stands in the last bytes of a segment, too few for a scan, leads nowhere else. */
static void
find_leas(const struct scan *scan)
{
	const uint8_t *bytes = scan->segment->bytes;

	for (uint64_t at = 0; at + VMT_BYTE_SCAN_ROOM + 4 <= scan->segment->length;
	     at += VMT_BYTE_SCAN_PLACES)
		for (uint32_t found = vmt_byte_scan_leas(bytes + at); found != 0;
		     found &= found - 1)
			note_lea(scan, at + (uint32_t)__builtin_ctz(found));
}

void
vmt_code_jumps_find_tables(const struct vmt_code_map *map, struct vmt_code_watch *watches,
			   size_t count)
{
	for (uint32_t i = 0; i < map->segments_count && count != 0; i++) {
		const struct scan scan = {map, &map->segments[i], NULL, watches, count};

		if (scan.segment->is_code)
			find_leas(&scan);
	}
}
