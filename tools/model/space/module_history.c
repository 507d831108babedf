#include "tools/model/space/module_history.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vmt_module_history {
	struct vmt_span *spans; /* spans[0] is unused */
	uint32_t span_count;
	uint32_t span_room;
	uint32_t *index; /* open addressing over spans; 0 = empty */
	uint32_t index_mask;
	uint32_t *loaded; /* spans, by rising address, disjoint */
	uint32_t loaded_count;
	uint32_t loaded_room;
	uint32_t era;
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
	free(history->spans);
	free(history->index);
	free(history->loaded);
	free(history);
}

static uint32_t
hash_of(const struct vmt_span *span)
{
	uint64_t hash = (span->low ^ (uint64_t)span->module << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)((hash ^ span->bias) >> 32);
}

static bool
same(const struct vmt_span *left, const struct vmt_span *right)
{
	return left->low == right->low && left->high == right->high && left->bias == right->bias &&
	       left->module == right->module;
}

/* The index entry that names the span, or the empty one where it belongs. */
static uint32_t *
entry_of(const struct vmt_module_history *history, const struct vmt_span *span)
{
	uint32_t slot = hash_of(span) & history->index_mask;

	assert(history->span_count <= history->index_mask / 2 + 1);
	while (history->index[slot] && !same(&history->spans[history->index[slot]], span))
		slot = (slot + 1) & history->index_mask;
	return &history->index[slot];
}

/* Room for one span more, and an index at most half full. */
static int
grow_spans(struct vmt_module_history *history)
{
	uint32_t room = history->span_room ? history->span_room * 2 : 64;
	struct vmt_span *spans;
	uint32_t *index;

	if (history->span_count < history->span_room)
		return 0;
	index = calloc((size_t)room * 2, sizeof(*index));
	if (!index)
		return -ENOMEM;
	spans = reallocarray(history->spans, room, sizeof(*spans));
	if (!spans) {
		free(index);
		return -ENOMEM;
	}
	free(history->index);
	history->index = index;
	history->index_mask = room * 2 - 1;
	history->spans = spans;
	history->span_room = room;
	for (uint32_t i = 1; i < history->span_count; i++)
		*entry_of(history, &history->spans[i]) = i;
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

/* Position in the loaded list of the first span that ends after address. */
static uint32_t
position_after(const struct vmt_module_history *history, uint64_t address)
{
	uint32_t low = 0;
	uint32_t high = history->loaded_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (history->spans[history->loaded[middle]].high <= address)
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

static uint32_t
intern(struct vmt_module_history *history, const struct vmt_span *span)
{
	uint32_t *entry = entry_of(history, span);

	if (!*entry) {
		assert(history->span_count < history->span_room);
		*entry = history->span_count;
		history->spans[history->span_count++] = *span;
	}
	return *entry;
}

int
vmt_module_history_load(struct vmt_module_history *history, const struct vmt_span *span)
{
	uint32_t from;
	uint32_t to;

	if (span->low >= span->high)
		return 0;
	if (grow_spans(history) || grow_loaded(history))
		return -ENOMEM;
	from = to = position_after(history, span->low);
	while (to < history->loaded_count && history->spans[history->loaded[to]].low < span->high)
		to++;
	remove_loaded(history, from, to);
	memmove(history->loaded + from + 1, history->loaded + from,
		(history->loaded_count - from) * sizeof(*history->loaded));
	assert(history->loaded_count < history->loaded_room);
	history->loaded[from] = intern(history, span);
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
	span = &history->spans[history->loaded[position]];
	if (span->low > low || (module && span->module != module))
		return;
	remove_loaded(history, position, position + 1);
	history->era++;
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

	return span && history->spans[span].low <= address ? span : 0;
}

const struct vmt_span *
vmt_module_history_span(const struct vmt_module_history *history, uint32_t span)
{
	assert(span > 0 && span < history->span_count);
	return &history->spans[span];
}
