#include "tools/read/symbols/jit_names.h"

#include "format/jit_map.h"
#include "tools/hash_table.h"
#include "tools/string_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 2048u
#define LINE_MIN_BYTES 6u /* "1 1 a\n" */

/* A line of a map. */
struct entry {
	uint64_t start;
	uint64_t end;
	const char *name;
	uint64_t order; /* of the last time that it was written down */
};

/* Finds the entry that a line repeats. */
struct known {
	UT_hash_handle hh;
	struct {
		uint64_t start;
		uint64_t end;
		const char *name;
	} key;
	size_t entry;
};

/* Addresses from start to the next stretch's, and the newest entry there. */
struct stretch {
	uint64_t start;
	size_t entry; /* SIZE_MAX: none */
	bool reused;
};

struct vmt_jit_names {
	struct vmt_string_set *texts;
	struct known *known;
	struct entry *entries;
	size_t count;
	size_t room;
	struct stretch *stretches;
	size_t stretch_count;
	uint64_t bytes;
	uint64_t lines;
	bool is_cut;
};

struct vmt_jit_names *
vmt_jit_names_new(void)
{
	struct vmt_jit_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->texts = vmt_string_set_new();
	if (names->texts)
		return names;
	free(names);
	return NULL;
}

void
vmt_jit_names_free(struct vmt_jit_names *names)
{
	if (!names)
		return;
	VMT_HASH_TABLE_FREE(struct known, names->known, free);
	vmt_string_set_free(names->texts);
	free(names->entries);
	free(names->stretches);
	free(names);
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
add(struct vmt_jit_names *names, const struct entry *entry)
{
	size_t room = names->room ? names->room + names->room / 2 : 1024;
	struct entry *entries;

	if (names->count == names->room) {
		entries = reallocarray(names->entries, room, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		names->entries = entries;
		names->room = room;
	}
	names->entries[names->count++] = *entry;
	return 0;
}

/* A line that says the same again makes its entry the newest. */
static int
take_entry(struct vmt_jit_names *names, struct entry *entry)
{
	struct known *known;
	struct known *found = calloc(1, sizeof(*found));

	if (!found)
		return -ENOMEM;
	found->key.start = entry->start;
	found->key.end = entry->end;
	found->key.name = entry->name;
	HASH_FIND(hh, names->known, &found->key, sizeof(found->key), known);
	if (known) {
		free(found);
		names->entries[known->entry].order = entry->order;
		return 0;
	}
	found->entry = names->count;
	if (add(names, entry) == 0)
		HASH_ADD(hh, names->known, key, sizeof(found->key), found);
	if (found->hh.tbl)
		return 0;
	free(found);
	return -ENOMEM;
}

static int
take_line(struct vmt_jit_names *names, const char *line, const char *end)
{
	struct entry entry = {.order = names->lines++};
	uint64_t bytes;
	size_t length;

	if (!get_hex(&line, end, &entry.start) || !get_hex(&line, end, &bytes) || bytes == 0 ||
	    entry.start > UINT64_MAX - bytes || line == end)
		return 0;
	entry.end = entry.start + bytes;
	length = (size_t)(end - line);
	entry.name = vmt_string_set_intern(names->texts, line,
					   length < NAME_BYTES ? length : NAME_BYTES - 1);
	if (!entry.name)
		return -ENOMEM;
	return *entry.name ? take_entry(names, &entry) : 0;
}

int
vmt_jit_names_read(struct vmt_jit_names *names, const unsigned char *bytes, size_t length)
{
	const char *at = (const char *)bytes + sizeof(struct vmt_jit_head);
	const char *end = (const char *)bytes + length;
	struct vmt_jit_head head;
	int result = 0;

	if (length < sizeof(head))
		return 0;
	memcpy(&head, bytes, sizeof(head));
	names->is_cut |= (head.flags & VMT_JIT_CUT) != 0;
	if (length > VMT_JIT_NAMES_MAX_BYTES - names->bytes) {
		names->is_cut = true;
		return 0;
	}
	names->bytes += length;
	while (at < end && result == 0) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		if ((size_t)(stop - at) + 1 >= LINE_MIN_BYTES)
			result = take_line(names, at, stop);
		at = stop + 1;
	}
	return result;
}

/* An end of an entry, for the sweep over all addresses. */
struct edge {
	uint64_t address;
	size_t entry;
	bool is_start;
};

static int
compare_edges(const void *left, const void *right)
{
	const struct edge *a = left;
	const struct edge *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return (int)a->is_start - (int)b->is_start;
}

/* The entries that are open at the sweep, the newest on top: a binary heap. Closed ones stay until
 * they come up. */
struct heap {
	size_t *items;
	size_t count;
};

static bool
is_newer(const struct vmt_jit_names *names, size_t a, size_t b)
{
	return names->entries[a].order > names->entries[b].order;
}

static void
heap_push(const struct vmt_jit_names *names, struct heap *heap, size_t entry)
{
	size_t at = heap->count++;

	for (; at > 0 && is_newer(names, entry, heap->items[(at - 1) / 2]); at = (at - 1) / 2)
		heap->items[at] = heap->items[(at - 1) / 2];
	heap->items[at] = entry;
}

static void
heap_pop(const struct vmt_jit_names *names, struct heap *heap)
{
	size_t last = heap->items[--heap->count];
	size_t at = 0;

	for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
		if (child + 1 < heap->count &&
		    is_newer(names, heap->items[child + 1], heap->items[child]))
			child++;
		if (!is_newer(names, heap->items[child], last))
			break;
		heap->items[at] = heap->items[child];
	}
	if (heap->count > 0)
		heap->items[at] = last;
}

static void
sweep(struct vmt_jit_names *names, const struct edge *edges, struct heap *heap)
{
	size_t count = 2 * names->count;
	size_t open = 0;

	for (size_t i = 0; i < count;) {
		uint64_t address = edges[i].address;

		for (; i < count && edges[i].address == address; i++) {
			open += edges[i].is_start ? 1 : (size_t)-1;
			if (edges[i].is_start)
				heap_push(names, heap, edges[i].entry);
		}
		while (heap->count > 0 && names->entries[heap->items[0]].end <= address)
			heap_pop(names, heap);
		names->stretches[names->stretch_count++] =
		    (struct stretch){.start = address,
				     .entry = heap->count > 0 ? heap->items[0] : SIZE_MAX,
				     .reused = open > 1};
	}
}

int
vmt_jit_names_settle(struct vmt_jit_names *names)
{
	struct edge *edges = calloc(2 * names->count + 1, sizeof(*edges));
	struct heap heap = {.items = calloc(names->count + 1, sizeof(*heap.items))};

	names->stretches = calloc(2 * names->count + 1, sizeof(*names->stretches));
	if (edges && heap.items && names->stretches) {
		for (size_t i = 0; i < names->count; i++) {
			edges[2 * i] = (struct edge){names->entries[i].start, i, true};
			edges[2 * i + 1] = (struct edge){names->entries[i].end, i, false};
		}
		qsort(edges, 2 * names->count, sizeof(*edges), compare_edges);
		sweep(names, edges, &heap);
	}
	free(edges);
	free(heap.items);
	return names->stretches && (names->count == 0 || names->stretch_count > 0) ? 0 : -ENOMEM;
}

static const struct stretch *
find_stretch(const struct vmt_jit_names *names, uint64_t address)
{
	size_t low = 0;
	size_t high = names->stretch_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (names->stretches[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && names->stretches[low - 1].entry != SIZE_MAX ? &names->stretches[low - 1]
								      : NULL;
}

/* "NAME FILE:LINE:COLUMN", as V8 writes it behind what kind of code it is and how far it was
 * optimised: "JS:*hot /srv/app.js:12:34". */
static bool
split_v8(struct vmt_jit_names *names, const char *text, struct vmt_symbol *symbol)
{
	static const char *const kinds[] = {"JS:", "LazyCompile:", "Function:", "Script:", "Eval:"};
	const char *place, *line, *column;
	size_t skip = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
			skip = strlen(kinds[i]);
	if (skip == 0)
		return false;
	text += skip;
	text += strspn(text, "~^+*");
	place = strchr(text, ' ');
	column = place ? strrchr(place, ':') : NULL;
	line = column ? memrchr(place, ':', (size_t)(column - place)) : NULL;
	if (!line || line == place + 1)
		return false;
	symbol->function = place == text
			       ? "(anonymous)"
			       : vmt_string_set_intern(names->texts, text, (size_t)(place - text));
	symbol->file = vmt_string_set_intern(names->texts, place + 1, (size_t)(line - place - 1));
	symbol->line = (uint32_t)strtoul(line + 1, NULL, 10);
	return symbol->function && symbol->file;
}

/* "py::FUNCTION:FILE", as CPython writes it. */
static bool
split_python(struct vmt_jit_names *names, const char *text, struct vmt_symbol *symbol)
{
	const char *colon = strncmp(text, "py::", 4) == 0 ? strchr(text + 4, ':') : NULL;

	if (!colon || colon == text + 4 || !colon[1])
		return false;
	symbol->function =
	    vmt_string_set_intern(names->texts, text + 4, (size_t)(colon - text - 4));
	symbol->file = colon + 1;
	return symbol->function != NULL;
}

bool
vmt_jit_names_find(struct vmt_jit_names *names, uint64_t address, struct vmt_symbol *symbol,
		   bool *reused)
{
	const struct stretch *stretch = find_stretch(names, address);
	const char *name;

	if (!stretch)
		return false;
	name = names->entries[stretch->entry].name;
	*symbol = (struct vmt_symbol){.line = 0};
	*reused = stretch->reused;
	if (!split_v8(names, name, symbol) && !split_python(names, name, symbol))
		symbol->function = name;
	return true;
}

size_t
vmt_jit_names_count(const struct vmt_jit_names *names)
{
	return names->count;
}

bool
vmt_jit_names_is_cut(const struct vmt_jit_names *names)
{
	return names->is_cut;
}
