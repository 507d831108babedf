#include "tools/model/space/module_history.h"

#include "base/assert.h"
#include "tools/hash_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A span that was loaded at some time: its key are the first bytes of it, which have no padding. */
struct known {
	UT_hash_handle hh;
	struct vmt_span span;
	uint32_t number;
};

#define KEY_BYTES (offsetof(struct vmt_span, module) + sizeof(uint32_t))

struct vmt_module_history {
	struct known **spans; /* by number; spans[0] is unused */
	uint32_t span_count;
	uint32_t span_room;
	struct known *known;
	uint32_t *loaded; /* spans, by rising address, disjoint */
	uint32_t loaded_count;
	uint32_t loaded_room;
	uint32_t era;
	struct vmt_compiled_source compiled; /* version: NULL where there is none */
};

struct vmt_module_history *
vmt_module_history_new(void)
{
	struct vmt_module_history *history = calloc(1, sizeof(*history));

	if (history)
		history->span_count = 1;
	return history;
}

void
vmt_module_history_free(struct vmt_module_history *history)
{
	if (!history)
		return;
	VMT_HASH_TABLE_FREE(struct known, history->known, free);
	free(history->spans);
	free(history->loaded);
	free(history);
}

static int
grow_spans(struct vmt_module_history *history)
{
	uint32_t room = history->span_room ? history->span_room * 2 : 64;
	struct known **spans;

	if (history->span_count < history->span_room)
		return 0;
	spans = reallocarray(history->spans, room, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	history->spans = spans;
	history->span_room = room;
	return 0;
}

static int
grow_loaded(struct vmt_module_history *history)
{
	uint32_t room = history->loaded_room ? history->loaded_room * 2 : 64;
	uint32_t *loaded;

	if (history->loaded_count < history->loaded_room)
		return 0;
	loaded = reallocarray(history->loaded, room, sizeof(*loaded));
	if (!loaded)
		return -ENOMEM;
	history->loaded = loaded;
	history->loaded_room = room;
	return 0;
}

static const struct vmt_span *
span_of(const struct vmt_module_history *history, uint32_t span)
{
	assert(span > 0 && span < history->span_count);
	return &history->spans[span]->span;
}

/* Position in the loaded list of the first span that ends after address. */
static uint32_t
position_after(const struct vmt_module_history *history, uint64_t address)
{
	uint32_t low = 0;
	uint32_t high = history->loaded_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (span_of(history, history->loaded[middle])->high <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
remove_loaded(struct vmt_module_history *history, uint32_t from, uint32_t to)
{
	assert(from <= to && to <= history->loaded_count);
	memmove(history->loaded + from, history->loaded + to,
		(history->loaded_count - to) * sizeof(*history->loaded));
	history->loaded_count -= to - from;
}

/* The number of the span, a new one where it has none yet; 0: no memory. */
static uint32_t
intern(struct vmt_module_history *history, const struct vmt_span *span)
{
	struct known *known;

	HASH_FIND(hh, history->known, span, KEY_BYTES, known);
	if (known)
		return known->number;
	known = calloc(1, sizeof(*known));
	if (!known)
		return 0;
	known->span = *span;
	known->number = history->span_count;
	HASH_ADD_KEYPTR(hh, history->known, &known->span, KEY_BYTES, known);
	if (!known->hh.tbl) {
		free(known);
		return 0;
	}
	assert(history->span_count < history->span_room);
	history->spans[history->span_count++] = known;
	return known->number;
}

int
vmt_module_history_load(struct vmt_module_history *history, const struct vmt_span *span)
{
	uint32_t number;
	uint32_t from;
	uint32_t to;

	if (span->low >= span->high)
		return 0;
	if (grow_spans(history) || grow_loaded(history))
		return -ENOMEM;
	number = intern(history, span);
	if (number == 0)
		return -ENOMEM;
	from = to = position_after(history, span->low);
	while (to < history->loaded_count &&
	       span_of(history, history->loaded[to])->low < span->high)
		to++;
	remove_loaded(history, from, to);
	memmove(history->loaded + from + 1, history->loaded + from,
		(history->loaded_count - from) * sizeof(*history->loaded));
	assert(history->loaded_count < history->loaded_room);
	history->loaded[from] = number;
	vmt_assert(from == 0 || span_of(history, history->loaded[from - 1])->high <= span->low);
	vmt_assert(from == history->loaded_count ||
		   span_of(history, history->loaded[from + 1])->low >= span->high);
	history->loaded_count++;
	history->era++;
	return 0;
}

void
vmt_module_history_unload(struct vmt_module_history *history, uint64_t low, uint32_t module)
{
	uint32_t position = position_after(history, low);
	const struct vmt_span *span;

	if (position == history->loaded_count)
		return;
	span = span_of(history, history->loaded[position]);
	if (span->low > low || (module && span->module != module))
		return;
	remove_loaded(history, position, position + 1);
	history->era++;
}

void
vmt_module_history_set_compiled(struct vmt_module_history *history,
				const struct vmt_compiled_source *source)
{
	history->compiled = *source;
}

void
vmt_module_history_changed(struct vmt_module_history *history)
{
	history->era++;
}

uint32_t
vmt_module_history_resolve(struct vmt_module_history *history, uint64_t address)
{
	uint32_t span = vmt_module_history_find(history, address);
	struct vmt_span compiled = {.high = 0};

	if (span || !history->compiled.version)
		return span;
	compiled.bias = history->compiled.version(history->compiled.context, address);
	/* Without memory it has the name that fits all times. */
	return compiled.bias && grow_spans(history) == 0 ? intern(history, &compiled) : 0;
}

uint32_t
vmt_module_history_current(const struct vmt_module_history *history)
{
	return history->era;
}

uint32_t
vmt_module_history_next(const struct vmt_module_history *history, uint64_t address)
{
	uint32_t position = position_after(history, address);

	return position < history->loaded_count ? history->loaded[position] : 0;
}

uint32_t
vmt_module_history_find(const struct vmt_module_history *history, uint64_t address)
{
	uint32_t span = vmt_module_history_next(history, address);

	return span && span_of(history, span)->low <= address ? span : 0;
}

uint32_t
vmt_module_history_count(const struct vmt_module_history *history)
{
	return history->span_count;
}

const struct vmt_span *
vmt_module_history_span(const struct vmt_module_history *history, uint32_t span)
{
	return span_of(history, span);
}
