#include "tools/read/symbols/jit_names.h"

#include "tools/hash_table.h"
#include "tools/read/symbols/jit_lines.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VISITS_MOST 4096u /* entries that one question looks at */
#define NO_ENTRY SIZE_MAX

/* Addresses from start to the next stretch's, and the newest entry there. */
struct stretch {
	uint64_t start;
	size_t entry; /* NO_ENTRY: none */
	bool reused;
};

/* What was at an address, as far as that is known at some time. */
struct version {
	UT_hash_handle hh;
	struct {
		uint32_t entry;
		uint32_t is_unsure;
	} key;
	uint32_t number;
};

struct vmt_jit_names {
	struct vmt_jit_lines lines;
	uint64_t *ends; /* the largest end in the subtree of each line: see look_through */
	uint32_t now;	/* looks that are over */
	struct stretch *stretches;
	size_t stretch_count;
	struct version *versions;
	struct version **by_number;
	uint32_t version_count;
	uint32_t version_room;
};

struct vmt_jit_names *
vmt_jit_names_new(void)
{
	struct vmt_jit_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	if (vmt_jit_lines_begin(&names->lines) == 0)
		return names;
	free(names);
	return NULL;
}

void
vmt_jit_names_free(struct vmt_jit_names *names)
{
	if (!names)
		return;
	VMT_HASH_TABLE_FREE(struct version, names->versions, free);
	vmt_jit_lines_free(&names->lines);
	free(names->stretches);
	free(names->ends);
	free(names->by_number);
	free(names);
}

int
vmt_jit_names_read(struct vmt_jit_names *names, const unsigned char *bytes, size_t length)
{
	return vmt_jit_lines_read(&names->lines, bytes, length);
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
	return names->lines.items[a].order > names->lines.items[b].order;
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
sweep(struct vmt_jit_names *names, const struct edge *edges, size_t count, struct heap *heap)
{
	size_t open = 0;

	for (size_t i = 0; i < count;) {
		uint64_t address = edges[i].address;

		for (; i < count && edges[i].address == address; i++) {
			open += edges[i].is_start ? 1 : (size_t)-1;
			if (edges[i].is_start)
				heap_push(names, heap, edges[i].entry);
		}
		while (heap->count > 0 && names->lines.items[heap->items[0]].end <= address)
			heap_pop(names, heap);
		names->stretches[names->stretch_count++] =
		    (struct stretch){.start = address,
				     .entry = heap->count > 0 ? heap->items[0] : NO_ENTRY,
				     .reused = open > 1};
	}
}

/* The entries [low, high) are a tree, whose root is the one in the middle: the largest end of each
 * part. */
static uint64_t
find_ends(struct vmt_jit_names *names, size_t low, size_t high)
{
	size_t middle = low + (high - low) / 2;
	uint64_t end, other;

	if (low == high)
		return 0;
	end = names->lines.items[middle].end;
	other = find_ends(names, low, middle);
	end = other > end ? other : end;
	other = find_ends(names, middle + 1, high);
	return names->ends[middle] = other > end ? other : end;
}

/* Of lines that say the same, the last alone. */
static size_t
make_edges(const struct vmt_jit_names *names, struct edge *edges)
{
	const struct vmt_jit_line *items = names->lines.items;
	size_t count = 0;

	for (size_t i = 0; i < names->lines.count; i++) {
		if (i + 1 < names->lines.count && vmt_jit_lines_is_same(&items[i], &items[i + 1]))
			continue;
		edges[count++] = (struct edge){items[i].start, i, true};
		edges[count++] = (struct edge){items[i].end, i, false};
	}
	return count;
}

int
vmt_jit_names_settle(struct vmt_jit_names *names)
{
	struct edge *edges;
	struct heap heap = {.items = NULL};

	vmt_jit_lines_compact(&names->lines);
	edges = calloc(2 * names->lines.count + 1, sizeof(*edges));
	heap.items = calloc(names->lines.count + 1, sizeof(*heap.items));
	names->ends = calloc(names->lines.count + 1, sizeof(*names->ends));
	names->stretches = calloc(2 * names->lines.count + 1, sizeof(*names->stretches));
	if (edges && heap.items && names->stretches && names->ends) {
		size_t count = make_edges(names, edges);

		if (count)
			qsort(edges, count, sizeof(*edges), compare_edges);
		sweep(names, edges, count, &heap);
		find_ends(names, 0, names->lines.count);
	}
	free(edges);
	free(heap.items);
	return names->ends && names->stretches &&
		       (names->lines.count == 0 || names->stretch_count > 0)
		   ? 0
		   : -ENOMEM;
}

bool
vmt_jit_names_reach(struct vmt_jit_names *names, uint64_t time)
{
	uint32_t before = names->now;

	while (names->now < names->lines.look_count && names->lines.looks[names->now] < time)
		names->now++;
	return names->now != before;
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
	return low > 0 && names->stretches[low - 1].entry != NO_ENTRY ? &names->stretches[low - 1]
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
	symbol->function =
	    place == text ? "(anonymous)"
			  : vmt_string_set_intern(names->lines.texts, text, (size_t)(place - text));
	symbol->file =
	    vmt_string_set_intern(names->lines.texts, place + 1, (size_t)(line - place - 1));
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
	    vmt_string_set_intern(names->lines.texts, text + 4, (size_t)(colon - text - 4));
	symbol->file = colon + 1;
	return symbol->function != NULL;
}

static void
name_entry(struct vmt_jit_names *names, size_t entry, struct vmt_symbol *symbol)
{
	const char *name = names->lines.items[entry].name;

	*symbol = (struct vmt_symbol){.line = 0};
	if (!split_v8(names, name, symbol) && !split_python(names, name, symbol))
		symbol->function = name;
}

bool
vmt_jit_names_find(struct vmt_jit_names *names, uint64_t address, struct vmt_symbol *symbol,
		   bool *reused)
{
	const struct stretch *stretch = find_stretch(names, address);

	if (!stretch)
		return false;
	name_entry(names, stretch->entry, symbol);
	*reused = stretch->reused;
	return true;
}

/* -- at a time --------------------------------------------------------------------------------- */

/* What was at an address. */
struct candidates {
	const struct vmt_jit_names *names;
	uint64_t address;
	size_t known; /* the newest of those that the look after now knows, or earlier ones */
	size_t later; /* the newest of the earliest look after these */
	unsigned visits;
};

static void
consider(struct candidates *found, size_t at)
{
	const struct vmt_jit_line *entries = found->names->lines.items;
	const struct vmt_jit_line *entry = &entries[at];

	if (entry->look <= found->names->now) {
		if (found->known == NO_ENTRY || entries[found->known].order < entry->order)
			found->known = at;
	} else if (found->later == NO_ENTRY || entry->look < entries[found->later].look ||
		   (entry->look == entries[found->later].look &&
		    entry->order > entries[found->later].order)) {
		found->later = at;
	}
}

/* Calls for each entry of [low, high) at the address, up to a number. */
static void
look_through(struct candidates *found, size_t low, size_t high,
	     void (*take)(struct candidates *found, size_t at))
{
	const struct vmt_jit_names *names = found->names;

	while (low < high && found->visits < VISITS_MOST) {
		size_t middle = low + (high - low) / 2;
		const struct vmt_jit_line *entry = &names->lines.items[middle];

		if (names->ends[middle] <= found->address)
			return;
		found->visits++;
		look_through(found, low, middle, take);
		if (entry->start > found->address)
			return;
		if (entry->end > found->address)
			take(found, middle);
		low = middle + 1;
	}
}

/* Whether something else may have been there than what is known: what was written down later may,
 * and where that one itself may have been written down only after now, what was there before. */
static void
doubt(struct candidates *found, size_t at)
{
	const struct vmt_jit_line *entries = found->names->lines.items;
	const struct vmt_jit_line *chosen = &entries[found->known];

	if (entries[at].name != chosen->name &&
	    (chosen->look >= found->names->now || entries[at].look >= found->names->now))
		found->later = at;
}

/* The number of a version; 0: no memory. */
static uint32_t
number_of(struct vmt_jit_names *names, size_t entry, bool is_unsure)
{
	struct version *version = calloc(1, sizeof(*version));
	struct version *known;
	uint32_t room = names->version_room ? 2 * names->version_room : 64;

	if (!version)
		return 0;
	version->key.entry = (uint32_t)entry;
	version->key.is_unsure = is_unsure;
	HASH_FIND(hh, names->versions, &version->key, sizeof(version->key), known);
	if (known) {
		free(version);
		return known->number;
	}
	if (names->version_count == names->version_room) {
		struct version **larger =
		    reallocarray(names->by_number, room, sizeof(struct version *));

		if (larger) {
			names->by_number = larger;
			names->version_room = room;
		}
	}
	if (names->version_count < names->version_room)
		HASH_ADD(hh, names->versions, key, sizeof(version->key), version);
	if (!version->hh.tbl) {
		free(version);
		return 0;
	}
	names->by_number[names->version_count] = version;
	return version->number = ++names->version_count;
}

uint32_t
vmt_jit_names_version(struct vmt_jit_names *names, uint64_t address)
{
	const struct stretch *stretch = find_stretch(names, address);
	struct candidates found = {
	    .names = names, .address = address, .known = NO_ENTRY, .later = NO_ENTRY};
	struct candidates other = found;

	if (!stretch || !stretch->reused)
		return 0;
	look_through(&found, 0, names->lines.count, consider);
	other.known = found.known != NO_ENTRY ? found.known : found.later;
	if (other.known == NO_ENTRY) /* so many that it was not found */
		other.known = stretch->entry;
	look_through(&other, 0, names->lines.count, doubt);
	return number_of(names, other.known,
			 other.later != NO_ENTRY || other.visits >= VISITS_MOST);
}

void
vmt_jit_names_of_version(struct vmt_jit_names *names, uint32_t version, struct vmt_symbol *symbol,
			 bool *unsure)
{
	const struct version *known;

	assert(version > 0 && version <= names->version_count);
	known = names->by_number[version - 1];
	name_entry(names, known->key.entry, symbol);
	*unsure = known->key.is_unsure;
}

size_t
vmt_jit_names_count(const struct vmt_jit_names *names)
{
	return names->lines.functions;
}

bool
vmt_jit_names_is_cut(const struct vmt_jit_names *names)
{
	return names->lines.is_cut;
}
