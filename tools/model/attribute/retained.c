#include "tools/model/attribute/retained.h"

#include "base/assert.h"
#include "tools/model/attribute/heap_pages.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* glibc's malloc/malloc.c on 64-bit machines: SIZE_SZ, MALLOC_ALIGNMENT, MINSIZE, and struct
 * malloc_chunk, which stays of a free chunk. */
#define HEADER_BYTES UINT64_C(8)
#define ALIGNMENT UINT64_C(16)
#define LEAST_BYTES UINT64_C(32)
#define FREE_CHUNK_BYTES UINT64_C(48)

/* So many samples tell how dense blocks lie around them. */
#define WINDOW_SAMPLES 8u

uint64_t
vmt_retained_chunk_bytes(uint64_t size)
{
	uint64_t bytes = (size + HEADER_BYTES + ALIGNMENT - 1) & ~(ALIGNMENT - 1);

	vmt_assert(bytes % ALIGNMENT == 0 && bytes >= size);
	return bytes < LEAST_BYTES ? LEAST_BYTES : bytes;
}

struct split {
	struct vmt_retained *retained;
	struct vmt_replay *replay;
	const struct vmt_resident *resident;
	const struct vmt_region *region;
	/* Of the window in hand: */
	double free_bytes; /* of its gaps */
	double hidden_bytes;
	double hidden;	/* live blocks that were not sampled */
	double weights; /* of its samples */
};

static int
compare_blocks(const void *left, const void *right)
{
	const struct vmt_block *a = left;
	const struct vmt_block *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

static struct vmt_block *
sorted_blocks(const struct vmt_replay *replay, size_t *count)
{
	struct vmt_block *blocks = calloc(vmt_blocks_count(replay->blocks) + 1, sizeof(*blocks));
	size_t cursor = 0;

	*count = 0;
	if (!blocks)
		return NULL;
	while (vmt_blocks_walk(replay->blocks, &cursor, &blocks[*count]))
		++*count;
	qsort(blocks, *count, sizeof(*blocks), compare_blocks);
	return blocks;
}

static uint64_t
committed(const struct split *split, uint64_t start, uint64_t end)
{
	if (start < split->region->start)
		start = split->region->start;
	if (end > split->region->end)
		end = split->region->end;
	return start < end
		   ? vmt_resident_range(split->resident, start, end).bytes[VMT_AMOUNT_COMMITTED]
		   : 0;
}

/* Blocks that have a mapping of their own lie in one that is no arena. */
static bool
is_arena(const struct vmt_region *region)
{
	return region->heap || region->start % VMT_HEAP_MAX_BYTES == 0;
}

static uint64_t
chunk_start(const struct vmt_block *block)
{
	return block->address - HEADER_BYTES;
}

static uint64_t
chunk_end(const struct vmt_block *block)
{
	return chunk_start(block) + vmt_retained_chunk_bytes(block->size);
}

static void
pin(const struct split *split, const struct vmt_block *block, double bytes)
{
	vmt_sites_get(split->replay->sites, block->site)->estimate[VMT_FIGURE_PINS] += bytes;
}

/* What the block takes beyond its bytes, and the blocks that it stands for. */
static void
add_overhead(struct split *split, const struct vmt_block *block, double weight)
{
	uint64_t whole = committed(split, chunk_start(block), chunk_end(block));
	uint64_t own = committed(split, block->address, block->address + block->size);

	if (whole > own)
		split->retained->overhead_bytes += weight * (double)(whole - own);
}

/* Whole pages of a gap. */
static uint64_t
whole_pages(const struct split *split, uint64_t start, uint64_t end)
{
	uint64_t page_bytes = split->replay->page_bytes;
	uint64_t first = vmt_pages_up(start - HEADER_BYTES + FREE_CHUNK_BYTES, page_bytes);
	uint64_t last = vmt_pages_down(end - HEADER_BYTES, page_bytes);

	return first < last ? committed(split, first, last) : 0;
}

/* Between two live blocks, or one and an end of the arena. next = NULL: up to the end. */
static void
add_gap(struct split *split, uint64_t start, uint64_t end, const struct vmt_block *next)
{
	uint64_t bytes = start < end ? committed(split, start, end) : 0;
	uint64_t pages;

	if (bytes == 0)
		return;
	if (end - start <= ALIGNMENT) {
		split->retained->overhead_bytes += (double)bytes;
		return;
	}
	pages = whole_pages(split, start, end);
	split->retained->free_page_bytes += (double)pages;
	if (next)
		pin(split, next, (double)bytes);
}

/* The arena's own record at its start is overhead, a page at the most. */
static uint64_t
arena_first(struct split *split, const struct vmt_block *first)
{
	uint64_t end = split->region->start + split->replay->page_bytes;

	if (first && chunk_start(first) < end)
		end = chunk_start(first);
	split->retained->overhead_bytes += (double)committed(split, split->region->start, end);
	return end;
}

/* Every block is known. */
static void
split_exactly(struct split *split, const struct vmt_block *blocks, size_t count)
{
	uint64_t at = arena_first(split, count ? blocks : NULL);

	for (size_t i = 0; i < count; i++) {
		vmt_assert(i == 0 || blocks[i].address > blocks[i - 1].address);
		add_overhead(split, &blocks[i], 1);
		add_gap(split, at, chunk_start(&blocks[i]), &blocks[i]);
		if (chunk_end(&blocks[i]) > at)
			at = chunk_end(&blocks[i]);
	}
	add_gap(split, at, split->region->end, NULL);
}

/* What a sample stands for beside itself. */
static void
note_sample(struct split *split, const struct vmt_block *block)
{
	double weight = vmt_replay_weight(split->replay, block->size);

	add_overhead(split, block, weight);
	split->weights += weight;
	split->hidden += weight - 1;
	split->hidden_bytes += (weight - 1) * (double)vmt_retained_chunk_bytes(block->size);
}

/* A window's free pages, and its free bytes to the sites of its samples by their weights. */
static void
end_window(struct split *split, const struct vmt_block *samples, size_t count, double pages)
{
	double gaps = split->free_bytes > 0 ? split->free_bytes : 1;
	double block = split->hidden > 0 ? split->hidden_bytes / split->hidden : 0;
	double density = split->hidden / gaps;
	double free_bytes =
	    split->free_bytes > split->hidden_bytes ? split->free_bytes - split->hidden_bytes : 0;
	double free_pages = pages * exp(-density * ((double)split->replay->page_bytes + block));

	vmt_assert(split->weights >= (double)count);
	split->retained->free_page_bytes += free_pages < free_bytes ? free_pages : free_bytes;
	for (size_t i = 0; i < count; i++)
		pin(split, &samples[i],
		    free_bytes * vmt_replay_weight(split->replay, samples[i].size) /
			split->weights);
	split->free_bytes = split->hidden = split->hidden_bytes = split->weights = 0;
}

/* From a few samples to the next few; the last window goes on to the end. */
static void
split_by_samples(struct split *split, const struct vmt_block *samples, size_t count)
{
	uint64_t at = arena_first(split, count ? samples : NULL);
	size_t first = 0;
	double pages = 0;

	for (size_t i = 0; i <= count; i++) {
		uint64_t end = i < count ? chunk_start(&samples[i]) : split->region->end;

		if (at < end) {
			split->free_bytes += (double)committed(split, at, end);
			pages += (double)whole_pages(split, at, end);
		}
		if (i < count) {
			note_sample(split, &samples[i]);
			if (chunk_end(&samples[i]) > at)
				at = chunk_end(&samples[i]);
		}
		if (i == count || (i - first + 1 >= WINDOW_SAMPLES && count - i > WINDOW_SAMPLES)) {
			end_window(split, samples + first, (i < count ? i + 1 : count) - first,
				   pages);
			first = i + 1;
			pages = 0;
		}
	}
}

/* Where each block has pages of its own, the rest of them is overhead. */
static void
split_mapped(struct split *split)
{
	const struct vmt_region *region = split->region;
	uint64_t total = region->total.bytes[VMT_AMOUNT_COMMITTED];
	uint64_t owned = region->blocks.bytes[VMT_AMOUNT_COMMITTED];

	split->retained->overhead_bytes += total > owned ? (double)(total - owned) : 0;
}

int
vmt_retained_split(struct vmt_retained *retained, const struct vmt_regions *regions,
		   struct vmt_replay *replay, const struct vmt_resident *resident)
{
	struct split split = {.retained = retained, .replay = replay, .resident = resident};
	size_t count;
	struct vmt_block *blocks = sorted_blocks(replay, &count);
	size_t first = 0;

	*retained = (struct vmt_retained){0};
	if (!blocks)
		return -ENOMEM;
	for (size_t i = 0; i < regions->count; i++) {
		size_t end;

		split.region = &regions->items[i];
		while (first < count && blocks[first].address < split.region->start)
			first++;
		for (end = first; end < count && blocks[end].address < split.region->end;)
			end++;
		vmt_assert(first <= end && end <= count);
		if (split.region->class != VMT_CLASS_MALLOC_RETAINED)
			continue;
		if (!is_arena(split.region))
			split_mapped(&split);
		else if (!vmt_replay_state_is_whole(replay))
			split_by_samples(&split, blocks + first, end - first);
		else
			split_exactly(&split, blocks + first, end - first);
	}
	free(blocks);
	return 0;
}
