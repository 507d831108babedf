#include "tools/model/eras.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vmt_eras {
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

struct vmt_eras *
vmt_eras_new(void)
{
	struct vmt_eras *eras = calloc(1, sizeof(*eras));

	if (eras)
		eras->span_count = 1;
	return eras;
}

void
vmt_eras_free(struct vmt_eras *eras)
{
	if (!eras)
		return;
	free(eras->spans);
	free(eras->index);
	free(eras->loaded);
	free(eras);
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
entry_of(const struct vmt_eras *eras, const struct vmt_span *span)
{
	uint32_t slot = hash_of(span) & eras->index_mask;

	while (eras->index[slot] && !same(&eras->spans[eras->index[slot]], span))
		slot = (slot + 1) & eras->index_mask;
	return &eras->index[slot];
}

/* Room for one span more, and an index at most half full. */
static int
grow_spans(struct vmt_eras *eras)
{
	uint32_t room = eras->span_room ? eras->span_room * 2 : 64;
	struct vmt_span *spans;
	uint32_t *index;

	if (eras->span_count < eras->span_room)
		return 0;
	index = calloc((size_t)room * 2, sizeof(*index));
	if (!index)
		return -ENOMEM;
	spans = reallocarray(eras->spans, room, sizeof(*spans));
	if (!spans) {
		free(index);
		return -ENOMEM;
	}
	free(eras->index);
	eras->index = index;
	eras->index_mask = room * 2 - 1;
	eras->spans = spans;
	eras->span_room = room;
	for (uint32_t i = 1; i < eras->span_count; i++)
		*entry_of(eras, &eras->spans[i]) = i;
	return 0;
}

static int
grow_loaded(struct vmt_eras *eras)
{
	uint32_t room = eras->loaded_room ? eras->loaded_room * 2 : 64;
	uint32_t *loaded;

	if (eras->loaded_count < eras->loaded_room)
		return 0;
	loaded = reallocarray(eras->loaded, room, sizeof(*loaded));
	if (!loaded)
		return -ENOMEM;
	eras->loaded = loaded;
	eras->loaded_room = room;
	return 0;
}

/* Position in the loaded list of the first span that ends after address. */
static uint32_t
position_after(const struct vmt_eras *eras, uint64_t address)
{
	uint32_t low = 0;
	uint32_t high = eras->loaded_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (eras->spans[eras->loaded[middle]].high <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
remove_loaded(struct vmt_eras *eras, uint32_t from, uint32_t to)
{
	memmove(eras->loaded + from, eras->loaded + to,
		(eras->loaded_count - to) * sizeof(*eras->loaded));
	eras->loaded_count -= to - from;
}

static uint32_t
intern(struct vmt_eras *eras, const struct vmt_span *span)
{
	uint32_t *entry = entry_of(eras, span);

	if (!*entry) {
		*entry = eras->span_count;
		eras->spans[eras->span_count++] = *span;
	}
	return *entry;
}

int
vmt_eras_load(struct vmt_eras *eras, const struct vmt_span *span)
{
	uint32_t from;
	uint32_t to;

	if (span->low >= span->high)
		return 0;
	if (grow_spans(eras) || grow_loaded(eras))
		return -ENOMEM;
	from = to = position_after(eras, span->low);
	while (to < eras->loaded_count && eras->spans[eras->loaded[to]].low < span->high)
		to++;
	remove_loaded(eras, from, to);
	memmove(eras->loaded + from + 1, eras->loaded + from,
		(eras->loaded_count - from) * sizeof(*eras->loaded));
	eras->loaded[from] = intern(eras, span);
	eras->loaded_count++;
	eras->era++;
	return 0;
}

void
vmt_eras_unload(struct vmt_eras *eras, uint64_t low, uint32_t module)
{
	uint32_t position = position_after(eras, low);
	const struct vmt_span *span;

	if (position == eras->loaded_count)
		return;
	span = &eras->spans[eras->loaded[position]];
	if (span->low > low || (module && span->module != module))
		return;
	remove_loaded(eras, position, position + 1);
	eras->era++;
}

uint32_t
vmt_eras_current(const struct vmt_eras *eras)
{
	return eras->era;
}

uint32_t
vmt_eras_next(const struct vmt_eras *eras, uint64_t address)
{
	uint32_t position = position_after(eras, address);

	return position < eras->loaded_count ? eras->loaded[position] : 0;
}

uint32_t
vmt_eras_find(const struct vmt_eras *eras, uint64_t address)
{
	uint32_t span = vmt_eras_next(eras, address);

	return span && eras->spans[span].low <= address ? span : 0;
}

const struct vmt_span *
vmt_eras_span(const struct vmt_eras *eras, uint32_t span)
{
	assert(span > 0 && span < eras->span_count);
	return &eras->spans[span];
}
