#include "tools/read/symbols/jit_lines.h"

#include "format/jit_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 2048u
#define LINE_MIN_BYTES 6u   /* "1 1 a\n" */
#define COMPACT_FROM 65536u /* lines: with fewer, repeated ones are not looked for */

int
vmt_jit_lines_begin(struct vmt_jit_lines *lines)
{
	*lines = (struct vmt_jit_lines){.texts = vmt_string_set_new()};
	return lines->texts ? 0 : -ENOMEM;
}

void
vmt_jit_lines_free(struct vmt_jit_lines *lines)
{
	vmt_string_set_free(lines->texts);
	free(lines->items);
	free(lines->looks);
}

static bool
get_hex(const char **at, const char *end, uint64_t *value)
{
	unsigned digits = 0;

	if (end - *at > 2 && (*at)[0] == '0' && ((*at)[1] == 'x' || (*at)[1] == 'X'))
		*at += 2;
	for (*value = 0; *at < end; (*at)++, digits++) {
		char c = **at;
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned)((c | 0x20) - 'a') + 10;
		else
			break;
		*value = *value << 4 | digit;
	}
	if (digits == 0 || digits > 16 || *at == end || **at != ' ')
		return false;
	(*at)++;
	return true;
}

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By start; what one line says, together, in the order of the lines. */
static int
compare_entries(const void *left, const void *right)
{
	const struct vmt_jit_line *a = left;
	const struct vmt_jit_line *b = right;
	int order = compare_numbers(a->start, b->start);

	if (!order)
		order = compare_numbers(a->end, b->end);
	if (!order)
		order = compare_numbers((uintptr_t)a->name, (uintptr_t)b->name);
	return order ? order : compare_numbers(a->order, b->order);
}

bool
vmt_jit_lines_is_same(const struct vmt_jit_line *a, const struct vmt_jit_line *b)
{
	return a->start == b->start && a->end == b->end && a->name == b->name;
}

void
vmt_jit_lines_compact(struct vmt_jit_lines *lines)
{
	size_t kept = 0;

	if (lines->count)
		qsort(lines->items, lines->count, sizeof(*lines->items), compare_entries);
	lines->functions = 0;
	for (size_t i = 0; i < lines->count; i++) {
		const struct vmt_jit_line *entry = &lines->items[i];
		bool is_second = kept > 0 && vmt_jit_lines_is_same(&lines->items[kept - 1], entry);
		bool is_third =
		    is_second && kept > 1 && vmt_jit_lines_is_same(&lines->items[kept - 2], entry);

		lines->functions += !is_second;
		if (is_third)
			kept--;
		lines->items[kept++] = *entry;
	}
	lines->count = kept;
}

/* Room for one more. 0, -ENOMEM, or -E2BIG. */
static int
make_room(struct vmt_jit_lines *lines)
{
	size_t room = lines->room ? 2 * lines->room : 1024;
	struct vmt_jit_line *entries;

	if (lines->count < lines->room)
		return 0;
	if (lines->count >= COMPACT_FROM)
		vmt_jit_lines_compact(lines);
	if (lines->count <= lines->room / 2 && lines->room)
		return 0;
	if (room > VMT_JIT_LINES_MOST)
		room = VMT_JIT_LINES_MOST;
	if (lines->count >= room)
		return -E2BIG;
	entries = reallocarray(lines->items, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	lines->items = entries;
	lines->room = room;
	return 0;
}

static int
take_entry(struct vmt_jit_lines *lines, const struct vmt_jit_line *entry)
{
	int result = make_room(lines);

	if (result == 0)
		lines->items[lines->count++] = *entry;
	lines->is_cut |= result == -E2BIG;
	return result == -E2BIG ? 0 : result;
}

static int
take_line(struct vmt_jit_lines *lines, const char *line, const char *end)
{
	struct vmt_jit_line entry = {.order = lines->taken++, .look = lines->look_count - 1};
	uint64_t bytes;
	size_t length;

	if (!get_hex(&line, end, &entry.start) || !get_hex(&line, end, &bytes) || bytes == 0 ||
	    entry.start > UINT64_MAX - bytes || line == end)
		return 0;
	entry.end = entry.start + bytes;
	length = (size_t)(end - line);
	entry.name = vmt_string_set_intern(lines->texts, line,
					   length < NAME_BYTES ? length : NAME_BYTES - 1);
	if (!entry.name)
		return -ENOMEM;
	return *entry.name ? take_entry(lines, &entry) : 0;
}

/* Chunks of one time are of one look. */
static int
begin_look(struct vmt_jit_lines *lines, uint64_t time)
{
	uint32_t room = lines->look_room ? 2 * lines->look_room : 64;
	uint64_t *looks;

	if (lines->look_count && lines->looks[lines->look_count - 1] >= time)
		return 0;
	if (lines->look_count == lines->look_room) {
		looks = reallocarray(lines->looks, room, sizeof(*looks));
		if (!looks)
			return -ENOMEM;
		lines->looks = looks;
		lines->look_room = room;
	}
	lines->looks[lines->look_count++] = time;
	return 0;
}

static int
take_lines(struct vmt_jit_lines *lines, const char *at, const char *end)
{
	int result = 0;

	while (at < end && result == 0) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		if (!lines->in_line && (size_t)(stop - at) + 1 >= LINE_MIN_BYTES)
			result = take_line(lines, at, stop);
		lines->in_line = newline == NULL;
		at = stop + 1;
	}
	return result;
}

int
vmt_jit_lines_read(struct vmt_jit_lines *lines, const unsigned char *bytes, size_t length)
{
	struct vmt_jit_head head;

	if (length < sizeof(head))
		return 0;
	memcpy(&head, bytes, sizeof(head));
	lines->is_cut |= (head.flags & VMT_JIT_CUT) != 0;
	if (length > VMT_JIT_LINES_MAX_BYTES - lines->bytes) {
		lines->is_cut = true;
		return 0;
	}
	if ((head.flags & VMT_JIT_ANEW) || head.offset != lines->next_offset)
		lines->in_line = false;
	lines->next_offset = head.offset + (length - sizeof(head));
	lines->bytes += length;
	if (begin_look(lines, head.time))
		return -ENOMEM;
	return take_lines(lines, (const char *)bytes + sizeof(head), (const char *)bytes + length);
}
