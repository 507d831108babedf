#include "tools/model/attribute/go_pieces.h"

#include <errno.h>
#include <stdlib.h>

#define ARENA_BYTES (UINT64_C(64) << 20) /* runtime/malloc.go: heapArenaBytes */

/* How far each list has been read. */
struct cursors {
	const struct vmt_go_heap *heap;
	uint64_t span;
	uint64_t free;
	uint64_t released;
};

/* [at, end) of one class. */
struct piece {
	uint64_t end;
	enum vmt_class_id class;
};

/* The first run of a list that ends behind `at`; NULL: there is none. */
static const struct vmt_go_run *
run_at(const struct vmt_go_run *runs, uint64_t count, uint64_t *cursor, uint64_t at)
{
	while (*cursor < count && runs[*cursor].start + runs[*cursor].bytes <= at)
		++*cursor;
	return *cursor < count ? &runs[*cursor] : NULL;
}

static const struct vmt_go_span *
span_at(struct cursors *cursors, uint64_t at)
{
	const struct vmt_go_heap *heap = cursors->heap;

	while (cursors->span < heap->head.spans &&
	       heap->spans[cursors->span].start + heap->spans[cursors->span].bytes <= at)
		cursors->span++;
	return cursors->span < heap->head.spans ? &heap->spans[cursors->span] : NULL;
}

static struct piece
piece_of_span(const struct vmt_go_span *span, uint64_t at)
{
	uint64_t used_end = span->start + span->allocated * span->slot_bytes;
	uint64_t end = span->start + span->bytes;

	if (span->class == VMT_GO_SPAN_STACK)
		return (struct piece){end, VMT_CLASS_GO_STACKS};
	if (span->class == VMT_GO_SPAN_OTHER)
		return (struct piece){end, VMT_CLASS_GO_METADATA};
	if (span->class < 2)
		return (struct piece){end, VMT_CLASS_GO_LARGE};
	return at < used_end ? (struct piece){used_end, VMT_CLASS_GO_SMALL}
			     : (struct piece){end, VMT_CLASS_GO_FREE_SLOTS};
}

/* A run is what lies at `at`, or ends what does. */
static bool
is_run(struct piece *piece, const struct vmt_go_run *run, uint64_t at, enum vmt_class_id class)
{
	if (!run)
		return false;
	if (run->start > at) {
		piece->end = run->start < piece->end ? run->start : piece->end;
		return false;
	}
	piece->class = class;
	if (run->start + run->bytes < piece->end)
		piece->end = run->start + run->bytes;
	return true;
}

static struct piece
piece_at(struct cursors *cursors, uint64_t at)
{
	const struct vmt_go_heap *heap = cursors->heap;
	const struct vmt_go_span *span = span_at(cursors, at);
	struct piece piece = {span ? span->start : UINT64_MAX, VMT_CLASS_GO_HEAP};

	if (span && span->start <= at)
		return piece_of_span(span, at);
	if (is_run(&piece, run_at(heap->free, heap->head.free, &cursors->free, at), at,
		   VMT_CLASS_GO_FREE))
		return piece;
	(void)is_run(&piece, run_at(heap->released, heap->head.released, &cursors->released, at),
		     at, VMT_CLASS_GO_RELEASED);
	return piece;
}

/* Joined with the region before it, where that is of the same mapping, owner and class. */
static bool
append(struct vmt_regions *cut, const struct vmt_region *piece, bool joins)
{
	struct vmt_region *last = cut->count ? &cut->items[cut->count - 1] : NULL;

	if (joins && last && last->class == piece->class && last->end == piece->start) {
		last->end = piece->end;
		for (int i = 0; i < VMT_AMOUNTS; i++)
			last->total.bytes[i] += piece->total.bytes[i];
		return true;
	}
	if (cut->count == cut->room) {
		size_t room = cut->room ? cut->room * 2 : 256;
		struct vmt_region *items = reallocarray(cut->items, room, sizeof(*items));

		if (!items)
			return false;
		cut->items = items;
		cut->room = room;
	}
	cut->items[cut->count++] = *piece;
	return true;
}

static bool
cut_region(struct vmt_regions *cut, const struct vmt_region *region, struct cursors *cursors,
	   const struct vmt_resident *resident, const struct vmt_touched *touched)
{
	for (uint64_t at = region->start; at < region->end;) {
		struct piece next = piece_at(cursors, at);
		struct vmt_region piece = *region;

		piece.start = at;
		piece.end = next.end < region->end ? next.end : region->end;
		piece.class = (uint8_t)next.class;
		piece.total =
		    vmt_regions_amounts(region, piece.start, piece.end, resident, touched);
		if (!append(cut, &piece, at > region->start))
			return false;
		at = piece.end;
	}
	return true;
}

int
vmt_go_pieces_cut(struct vmt_regions *regions, const struct vmt_go_heap *heap,
		  const struct vmt_resident *resident, const struct vmt_touched *touched)
{
	struct cursors cursors = {.heap = heap};
	struct vmt_regions cut = {0};
	bool done = true;

	for (size_t i = 0; i < regions->count && done; i++) {
		const struct vmt_region *region = &regions->items[i];

		/* A block of C's lies in no arena of Go's: what was taken for one is left whole. */
		if (region->class == VMT_CLASS_GO_HEAP && !region->has_blocks)
			done = cut_region(&cut, region, &cursors, resident, touched);
		else
			done = append(&cut, region, false);
	}
	if (!done) {
		vmt_regions_clear(&cut);
		return -ENOMEM;
	}
	vmt_regions_clear(regions);
	*regions = cut;
	return 0;
}

/* In the arenas that a range of the heap lies in: these are mapped whole, and grown into. */
static bool
is_in_heap(const struct vmt_region *region, const struct vmt_go_heap *heap)
{
	for (uint64_t i = 0; i < heap->head.ranges; i++) {
		uint64_t start = heap->ranges[i].start & ~(ARENA_BYTES - 1);
		uint64_t last =
		    (heap->ranges[i].start + heap->ranges[i].bytes - 1) | (ARENA_BYTES - 1);

		if (heap->ranges[i].bytes && region->start >= start && region->end - 1 <= last)
			return true;
	}
	return false;
}

bool
vmt_go_pieces_claim(struct vmt_regions *regions, const struct vmt_go_heap *heap)
{
	bool claimed = false;

	for (size_t i = 0; i < regions->count; i++) {
		struct vmt_region *region = &regions->items[i];

		if (!region->open || region->has_blocks || region->heap || region->mapping->inode ||
		    region->mapping->shared || !is_in_heap(region, heap))
			continue;
		region->class = VMT_CLASS_GO_HEAP;
		region->open = false;
		claimed = true;
	}
	return claimed;
}
