#include "inject/go_bounds.h"

#include "format/go_forms.h"
#include "inject/byte_scan.h"
#include "unwind/gopclntab.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)

/* Anything but 0, which would mean that the table knows its text. */
#define SOME_TEXT (UINT64_C(1) << 40)
/* Each try walks the whole table. A program of Go's needs two: one place, and one function. */
#define TRIES_MAX 16u

/* What Go's linker puts before its code, where nothing else is linked. */
#define HEADERS_BYTES 4096u

/* What a function may look like, in one version or another. */
struct form {
	uint8_t bytes[32];
	uint8_t count;
};

static const struct form madvise_forms[] = {{{VMT_GO_FORM_MADVISE}, 28},
					    {{VMT_GO_FORM_MADVISE_SHORT}, 26}};
static const struct form munmap_forms[] = {{{VMT_GO_FORM_MUNMAP}, 25},
					   {{VMT_GO_FORM_MUNMAP_SHORT}, 23}};

static bool
has_form(const uint8_t *code, size_t room, const struct form forms[2])
{
	return (room >= forms[0].count && memcmp(code, forms[0].bytes, forms[0].count) == 0) ||
	       (room >= forms[1].count && memcmp(code, forms[1].bytes, forms[1].count) == 0);
}

/* Whether a function of this name and form lies where the table says, for a text that begins at
 * `text`. */
static bool
lies_there(const struct vmt_code_map *map, const struct vmt_gopclntab *table, uint64_t text,
	   const char *name, const struct form forms[2])
{
	struct vmt_gopclntab_function function;
	uint64_t cursor = 0;

	while (vmt_gopclntab_named(table, name, &cursor, &function)) {
		size_t room;
		const uint8_t *code =
		    vmt_code_map_bytes(map, function.start - table->text + text, &room);

		if (code && has_form(code, room, forms))
			return true;
	}
	return false;
}

/* By its name since Go 1.21, or the one before. */
static bool
fits(const struct vmt_code_map *map, const struct vmt_gopclntab *table, uint64_t text)
{
	return lies_there(map, table, text, "runtime.sysMunmap", munmap_forms) ||
	       lies_there(map, table, text, "runtime.munmap", munmap_forms);
}

/* The next place of the known function in a segment, from `at` on; its length: there is none. Both
 * of its forms begin with the same bytes. */
static uint64_t
find_form(const struct vmt_code_segment *segment, uint64_t at)
{
	const uint8_t *bytes = segment->bytes;

	for (; at < segment->length; at++) {
		/* Most of the way by 16 places at a time. */
		while (at + VMT_BYTE_SCAN_ROOM <= segment->length &&
		       vmt_byte_scan_pairs(bytes + at, madvise_forms[0].bytes[0],
					   madvise_forms[0].bytes[1]) == 0)
			at += VMT_BYTE_SCAN_PLACES;
		if (has_form(bytes + at, segment->length - at, madvise_forms))
			return at;
	}
	return segment->length;
}

/* Where Go's code begins: at its usual place, or by each place of the known function and each
 * function of its name. 0: it is not to be found. */
static uint64_t
find_text(const struct vmt_code_map *map, const struct vmt_gopclntab *table,
	  const struct vmt_code_segment *segment)
{
	uint64_t usual = segment->address + HEADERS_BYTES;
	unsigned tries = 0;

	if (lies_there(map, table, usual, "runtime.madvise", madvise_forms) &&
	    fits(map, table, usual))
		return usual;
	for (uint64_t at = find_form(segment, 0); at < segment->length && tries++ < TRIES_MAX;
	     at = find_form(segment, at + 1)) {
		struct vmt_gopclntab_function function;
		uint64_t cursor = 0;

		while (tries++ < TRIES_MAX &&
		       vmt_gopclntab_named(table, "runtime.madvise", &cursor, &function)) {
			uint64_t text = segment->address + at - (function.start - table->text);

			if (fits(map, table, text))
				return text;
		}
	}
	return 0;
}

/* Whether its functions lie one behind another. */
static bool
is_sound(const struct vmt_gopclntab *table)
{
	uint64_t end = 0;

	for (uint64_t i = 0; i < table->functions; i++) {
		struct vmt_gopclntab_entry entry;

		if (!vmt_gopclntab_entry(table, i, &entry) || entry.start < end ||
		    entry.end < entry.start)
			return false;
		end = entry.end;
	}
	return true;
}

static int
add_all(struct vmt_code_map *map, const struct vmt_gopclntab *table, uint64_t text)
{
	int error = 0;

	for (uint64_t i = 0; error == 0 && i < table->functions; i++) {
		struct vmt_gopclntab_entry entry;

		if (!vmt_gopclntab_entry(table, i, &entry))
			continue;
		error = vmt_code_map_add_function(map, entry.start - table->text + text,
						  entry.end - table->text + text);
	}
	return error;
}

int
vmt_go_bounds_add(struct vmt_code_map *map, uint64_t table, uint64_t bytes_there)
{
	struct vmt_gopclntab opened;
	size_t room;
	const uint8_t *bytes = vmt_code_map_bytes(map, table, &room);

	if (!bytes || !vmt_gopclntab_open(&opened, bytes, room, SOME_TEXT))
		return 0;
	if (opened.version < VMT_GOPCLNTAB_1_18 || !is_sound(&opened))
		return 0;
	for (uint32_t i = 0; i < map->segments_count; i++) {
		uint64_t text =
		    map->segments[i].is_code ? find_text(map, &opened, &map->segments[i]) : 0;

		if (text == 0)
			continue;
		map->table = table;
		map->table_bytes = bytes_there < room ? bytes_there : room;
		return add_all(map, &opened, text);
	}
	return 0;
}

#else

int
vmt_go_bounds_add(struct vmt_code_map *map, uint64_t table, uint64_t bytes_there)
{
	(void)map;
	(void)table;
	(void)bytes_there;
	return 0;
}

#endif
