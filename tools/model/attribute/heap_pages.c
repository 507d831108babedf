#include "tools/model/attribute/heap_pages.h"

#include "base/assert.h"

#include <assert.h>
#include <math.h>
#include <sys/mman.h>

#define SMALL_BYTES (UINT64_C(128) << 10) /* glibc's first M_MMAP_THRESHOLD */
#define EARLY_BYTES (UINT64_C(256) << 10)
/* Of guards that the kernel has joined with what is below them. */
#define JOINED_MOST_BYTES (UINT64_C(1) << 20)
#define LOWEST_ARENA (UINT64_C(1) << 46) /* the kernel's own choice of places lies above */

static const enum vmt_figure figure_of[VMT_AMOUNTS] = {
    [VMT_AMOUNT_RESERVED] = VMT_FIGURE_RESERVED,   [VMT_AMOUNT_ACCESSIBLE] = VMT_FIGURE_ACCESSIBLE,
    [VMT_AMOUNT_COMMITTED] = VMT_FIGURE_COMMITTED, [VMT_AMOUNT_SWAPPED] = VMT_FIGURE_SWAPPED,
    [VMT_AMOUNT_UNTOUCHED] = VMT_FIGURE_UNTOUCHED, [VMT_AMOUNT_HUGETLB] = VMT_FIGURE_HUGETLB,
    [VMT_AMOUNT_SHARED] = VMT_FIGURE_SHARED,
};

/* A block and what its kind stands for; weight 1 and exact where all such blocks are recorded. */
struct owner {
	struct vmt_block block;
	struct vmt_site_entry *entry;
	double weight;
	bool exact;
};

static void
count_block(struct owner *owner)
{
	struct vmt_site_entry *entry = owner->entry;

	vmt_assert(owner->weight >= 1 && (!owner->exact || owner->weight <= 1));
	vmt_sites_vote_class(entry, VMT_CLASS_MALLOC_LIVE, owner->block.size);
	if (owner->exact) {
		entry->exact[VMT_FIGURE_LIVE_COUNT]++;
		entry->exact[VMT_FIGURE_RESERVED] += owner->block.size;
		entry->exact[VMT_FIGURE_ACCESSIBLE] += owner->block.size;
		return;
	}
	entry->estimated = true;
	entry->estimate[VMT_FIGURE_LIVE_COUNT] += owner->weight;
	entry->estimate[VMT_FIGURE_RESERVED] += owner->weight * (double)owner->block.size;
	entry->estimate[VMT_FIGURE_ACCESSIBLE] += owner->weight * (double)owner->block.size;
}

static void
own_amounts(struct vmt_region *region, struct owner *owner, const struct vmt_amounts *amounts)
{
	for (int i = 0; i < VMT_AMOUNTS; i++) {
		uint64_t bytes = amounts->bytes[i];
		bool counted = i < VMT_AMOUNT_COMMITTED; /* by count_block, mapped or not */

		if (owner->exact) {
			region->blocks.bytes[i] += bytes;
			if (!counted)
				owner->entry->exact[figure_of[i]] += bytes;
		} else {
			region->estimate[i] += owner->weight * (double)bytes;
			if (!counted)
				owner->entry->estimate[figure_of[i]] +=
				    owner->weight * (double)bytes;
		}
	}
}

/* glibc's small blocks lie in the main arena, or in a heap that begins at a multiple of its largest
 * size, in the same mapping, and that no hook has seen; anywhere else they are another allocator's.
 */
static void
note_blocks(struct vmt_region *region, const struct vmt_block *block)
{
	uint64_t heap_start = block->address & ~(VMT_HEAP_MAX_BYTES - 1);

	region->has_blocks = true;
	if (block->size >= SMALL_BYTES || region->heap || region->present)
		return;
	if (region->class == VMT_CLASS_MMAP || (region->open && heap_start < region->start))
		region->has_foreign_blocks = true;
}

/* An empty block owns nothing, but tells whose memory it lies in. */
static void
own_block(struct vmt_regions *regions, struct owner *owner, const struct vmt_resident *resident,
	  const struct vmt_touched *touched)
{
	uint64_t start = owner->block.address;
	uint64_t end = start + (owner->block.size ? owner->block.size : 1);

	for (size_t i = vmt_regions_after(regions, start); i < regions->count; i++) {
		struct vmt_region *region = &regions->items[i];
		struct vmt_amounts amounts;

		if (region->start >= end)
			break;
		vmt_assert(region->end > start);
		note_blocks(region, &owner->block);
		if (owner->block.size == 0)
			break;
		amounts = vmt_regions_amounts(region, start, end, resident, touched);
		own_amounts(region, owner, &amounts);
	}
}

/* The variance of a sum of blocks that are recorded with probability 1 / weight each, as far as
 * those that are tell (Horvitz and Thompson 1952). */
struct spread {
	double variance;
	double bytes;
};

static void
add_spread(struct spread *spread, const struct owner *owner)
{
	double bytes = owner->weight * (double)owner->block.size;

	if (owner->exact)
		return;
	spread->variance += bytes * (owner->weight - 1) * (double)owner->block.size;
	spread->bytes += bytes;
}

void
vmt_heap_pages_own(struct vmt_regions *regions, struct vmt_replay *replay,
		   const struct vmt_resident *resident)
{
	struct spread spread = {0};
	struct owner owner;
	size_t cursor = 0;

	while (vmt_blocks_walk(replay->blocks, &cursor, &owner.block)) {
		owner.entry = vmt_sites_get(replay->sites, owner.block.site);
		owner.weight = vmt_replay_weight(replay, owner.block.size);
		owner.exact = vmt_replay_is_exact(replay, owner.block.size);
		count_block(&owner);
		add_spread(&spread, &owner);
		own_block(regions, &owner, resident, replay->touched);
	}
	if (replay->thin_level > 0 && spread.bytes > 0)
		replay->thinned_bytes = ceil(spread.variance / spread.bytes);
}

static void
retain(struct vmt_region *region)
{
	region->class = VMT_CLASS_MALLOC_RETAINED;
	region->open = false;
	if (!region->tracked)
		region->site = VMT_SITE_NONE;
}

static bool
is_reserve(const struct vmt_region *region)
{
	return region->open && region->mapping->protection == PROT_NONE;
}

/* The region may be a heap of glibc's: closes it, with its PROT_NONE rest, where it is one. Without
 * blocks in it the shape must fit: rest and all, it ends at the next multiple or beyond, where the
 * kernel joined the rest with another PROT_NONE mapping. */
static void
try_arena(struct vmt_regions *regions, size_t first, bool unseen)
{
	const struct vmt_region *region = &regions->items[first];
	uint64_t limit = region->start + VMT_HEAP_MAX_BYTES;
	uint64_t end = region->end;
	size_t last = first + 1;
	bool fits;

	if (region->start % VMT_HEAP_MAX_BYTES || region->start < LOWEST_ARENA ||
	    is_reserve(region))
		return;
	while (last < regions->count && regions->items[last].start == end && end < limit &&
	       is_reserve(&regions->items[last]))
		end = regions->items[last++].end;
	fits = end == limit ||
	       (end > limit && last > first + 1 && (!unseen || end - limit <= JOINED_MOST_BYTES));
	if (!region->has_blocks && !fits)
		return;
	vmt_assert(first < last && last <= regions->count);
	for (size_t i = first; i < last; i++)
		retain(&regions->items[i]);
}

void
vmt_heap_pages_find_arenas(struct vmt_regions *regions, bool unseen)
{
	for (size_t i = 0; i < regions->count; i++) {
		struct vmt_region *region = &regions->items[i];

		if (region->open)
			try_arena(regions, i, unseen);
		if (region->open && ((region->heap && !unseen) || region->has_blocks))
			retain(region);
		if (region->has_blocks &&
		    (region->class == VMT_CLASS_MMAP || region->class == VMT_CLASS_THREAD_STACKS))
			retain(region);
	}
}

/* What an allocator mapped before the trace began, as preloaded ones do when they are loaded. The
 * loader's own memory (thread-local storage, link maps) comes in smaller pieces. */
static bool
is_early(const struct vmt_region *region)
{
	return region->present && !region->heap && region->mapping->protection != PROT_NONE &&
	       region->end - region->start >= EARLY_BYTES;
}

void
vmt_heap_pages_find_early(struct vmt_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++)
		if (regions->items[i].open && is_early(&regions->items[i]))
			retain(&regions->items[i]);
}

bool
vmt_heap_pages_find_foreign(struct vmt_regions *regions, bool known)
{
	bool foreign = known;

	for (size_t i = 0; i < regions->count; i++)
		foreign |= regions->items[i].has_foreign_blocks;
	for (size_t i = 0; foreign && i < regions->count; i++)
		if (regions->items[i].open && !regions->items[i].present)
			retain(&regions->items[i]);
	return foreign;
}

/* What small blocks own of all arenas together: of the child's own, and of its parent's. */
static const enum vmt_class_id pooled[] = {VMT_CLASS_MALLOC_RETAINED, VMT_CLASS_INHERITED};

#define POOLS (sizeof(pooled) / sizeof(pooled[0]))

struct pool {
	double estimate[POOLS][VMT_AMOUNTS];
	uint64_t room[POOLS][VMT_AMOUNTS]; /* after the blocks that were all recorded */
	double scale[VMT_AMOUNTS];
};

/* POOLS where the region is in none. */
static size_t
pool_of(const struct vmt_region *region)
{
	size_t i = 0;

	while (i < POOLS && region->class != pooled[i])
		i++;
	return i;
}

static uint64_t
at_most(double estimate, uint64_t room)
{
	if (estimate <= 0)
		return 0;
	return estimate < (double)room ? (uint64_t)llround(estimate) : room;
}

/* The part of a whole that blocks own, where they own so much of the whole: of either side it is no
 * more than the whole. */
static uint64_t
own_part(double estimate, uint64_t room, uint64_t whole_owned, uint64_t whole_rest)
{
	uint64_t owned = at_most(estimate, room);

	if (owned > whole_owned)
		owned = whole_owned;
	return room > whole_rest + owned ? room - whole_rest : owned;
}

/* What of a place's bytes is owned by blocks. Each figure was summed up by itself, from samples or
 * of blocks that contradict each other; of either side the parts are never more than what is
 * reserved, and no more is shared than is committed. */
static void
own_parts(const double estimate[VMT_AMOUNTS], const uint64_t room[VMT_AMOUNTS],
	  uint64_t owned[VMT_AMOUNTS])
{
	uint64_t parts = 0;
	uint64_t rest = 0;

	for (int i = VMT_AMOUNT_COMMITTED; i < VMT_AMOUNT_SHARED; i++) {
		owned[i] = at_most(estimate[i], room[i]);
		parts += owned[i];
		rest += room[i] - owned[i];
	}
	owned[VMT_AMOUNT_SHARED] = own_part(
	    estimate[VMT_AMOUNT_SHARED], room[VMT_AMOUNT_SHARED], owned[VMT_AMOUNT_COMMITTED],
	    room[VMT_AMOUNT_COMMITTED] - owned[VMT_AMOUNT_COMMITTED]);
	owned[VMT_AMOUNT_RESERVED] =
	    at_most(estimate[VMT_AMOUNT_RESERVED],
		    room[VMT_AMOUNT_RESERVED] > rest ? room[VMT_AMOUNT_RESERVED] - rest : 0);
	if (owned[VMT_AMOUNT_RESERVED] < parts)
		owned[VMT_AMOUNT_RESERVED] = parts;
	if (owned[VMT_AMOUNT_RESERVED] > room[VMT_AMOUNT_RESERVED]) /* no snapshot has such parts */
		owned[VMT_AMOUNT_RESERVED] = room[VMT_AMOUNT_RESERVED];
	owned[VMT_AMOUNT_ACCESSIBLE] = own_part(
	    estimate[VMT_AMOUNT_ACCESSIBLE], room[VMT_AMOUNT_ACCESSIBLE],
	    owned[VMT_AMOUNT_RESERVED], room[VMT_AMOUNT_RESERVED] - owned[VMT_AMOUNT_RESERVED]);
}

static int
tally_piece(struct vmt_region *region, struct pool *pool, struct vmt_amounts classes[VMT_CLASSES],
	    struct vmt_region_parts *parts)
{
	static const double none[VMT_AMOUNTS] = {0};
	size_t in = pool_of(region);
	double recorded[VMT_AMOUNTS];
	uint64_t room[VMT_AMOUNTS];
	uint64_t owned[VMT_AMOUNTS];

	for (int i = 0; i < VMT_AMOUNTS; i++)
		recorded[i] = (double)region->blocks.bytes[i];
	own_parts(recorded, region->total.bytes, owned);
	for (int i = 0; i < VMT_AMOUNTS; i++) {
		classes[VMT_CLASS_MALLOC_LIVE].bytes[i] += owned[i];
		vmt_assert(owned[i] <= region->total.bytes[i]);
		room[i] = region->total.bytes[i] - owned[i];
		owned[i] = 0;
		if (in < POOLS) {
			pool->estimate[in][i] += region->estimate[i];
			pool->room[in][i] += room[i];
		}
	}
	if (in == POOLS)
		own_parts(region->estimate, room, owned);
	for (int i = 0; i < VMT_AMOUNTS; i++) {
		classes[VMT_CLASS_MALLOC_LIVE].bytes[i] += owned[i];
		vmt_assert(owned[i] <= room[i]);
		room[i] -= owned[i];
		classes[region->class].bytes[i] += room[i];
	}
	return vmt_region_parts_add(parts, region, room, in < POOLS ? region->estimate : none);
}

static void
tally_pool(struct pool *pool, struct vmt_amounts classes[VMT_CLASSES])
{
	double estimate[VMT_AMOUNTS] = {0};
	double taken[VMT_AMOUNTS] = {0};

	for (size_t in = 0; in < POOLS; in++) {
		struct vmt_amounts *rest = &classes[pooled[in]];
		uint64_t owned[VMT_AMOUNTS];

		own_parts(pool->estimate[in], pool->room[in], owned);
		for (int i = 0; i < VMT_AMOUNTS; i++) {
			assert(rest->bytes[i] >= owned[i]);
			classes[VMT_CLASS_MALLOC_LIVE].bytes[i] += owned[i];
			rest->bytes[i] -= owned[i];
			estimate[i] += pool->estimate[in][i];
			taken[i] += fmin(pool->estimate[in][i], (double)pool->room[in][i]);
		}
	}
	for (int i = 0; i < VMT_AMOUNTS; i++)
		pool->scale[i] = estimate[i] > taken[i] ? taken[i] / estimate[i] : 1;
}

static void
scale_sites(struct vmt_replay *replay, const struct pool *pool)
{
	for (uint32_t i = 0; i < vmt_sites_count(replay->sites); i++) {
		struct vmt_site_entry *entry = vmt_sites_get(replay->sites, i);

		for (int j = VMT_AMOUNT_COMMITTED; j < VMT_AMOUNTS; j++)
			entry->estimate[figure_of[j]] *= pool->scale[j];
	}
}

static void
scale_parts(struct vmt_region_parts *parts, const struct pool *pool)
{
	for (size_t i = 0; i < parts->count; i++)
		for (int j = 0; j < VMT_AMOUNTS; j++)
			parts->items[i].estimate[j] *= pool->scale[j];
}

/* The site of a mapped range: all that it reserved, but of the pages what no block owns. */
static void
tally_site(const struct vmt_region *region, struct vmt_site_entry *entry, const struct pool *pool)
{
	enum vmt_class_id class = (enum vmt_class_id)region->class;

	/* What its arenas hold is not the call's doing. */
	if (vmt_classes_is_go_heap(class))
		class = VMT_CLASS_GO_HEAP;
	vmt_sites_vote_class(entry, class, region->total.bytes[VMT_AMOUNT_RESERVED]);
	entry->exact[VMT_FIGURE_RESERVED] += region->total.bytes[VMT_AMOUNT_RESERVED];
	entry->exact[VMT_FIGURE_ACCESSIBLE] += region->total.bytes[VMT_AMOUNT_ACCESSIBLE];
	for (int i = VMT_AMOUNT_COMMITTED; i < VMT_AMOUNTS; i++) {
		uint64_t total = region->total.bytes[i];
		uint64_t owned = region->blocks.bytes[i] < total ? region->blocks.bytes[i] : total;

		entry->exact[figure_of[i]] += total - owned;
		entry->estimate[figure_of[i]] -= region->estimate[i] * pool->scale[i];
		entry->estimated |= region->estimate[i] > 0;
	}
}

int
vmt_heap_pages_tally(struct vmt_regions *regions, struct vmt_replay *replay,
		     struct vmt_amounts classes[VMT_CLASSES], struct vmt_region_parts *parts)
{
	struct pool pool = {0};
	int status = 0;

	for (size_t i = 0; i < regions->count && !status; i++)
		status = tally_piece(&regions->items[i], &pool, classes, parts);
	if (status)
		return status;
	tally_pool(&pool, classes);
	scale_sites(replay, &pool);
	scale_parts(parts, &pool);
	vmt_region_parts_join(parts);
	for (size_t i = 0; i < regions->count; i++) {
		const struct vmt_region *region = &regions->items[i];

		if (region->site != VMT_SITE_NONE)
			tally_site(region, vmt_sites_get(replay->sites, region->site), &pool);
	}
	return 0;
}
