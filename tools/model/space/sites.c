/*
 * Sites, and the tables by which they are found.
 * Over 500 lines: all steps work on the one table of sites.
 */
#include "tools/model/space/sites.h"

#include "tools/hash_seed.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE VMT_SITE_NONE
#define MAX_FRAMES 128u
#define MAX_PENDING 1024u /* sites that wait for a load; more are left as they are */
#define PENDING_LOADS 64u /* loads that a site waits for */

struct pending {
	uint32_t site;
	uint32_t loads_left;
};

/* The first variant of a key; NONE = empty. */
struct slot {
	struct vmt_site_key key;
	uint32_t site;
};

struct vmt_sites {
	struct vmt_module_history *history;
	struct vmt_stack_source source;
	struct vmt_site_entry *entries;
	uint32_t count;
	uint32_t room;
	struct slot *index; /* open addressing */
	uint32_t index_mask;
	uint32_t
	    *variants; /* sites by key and spans, open addressing; those of earlier spans too */
	uint32_t variants_mask;
	uint32_t variants_used;
	uint32_t *spans; /* pool, append-only */
	uint64_t spans_used;
	uint64_t spans_room;
	struct pending pending[MAX_PENDING];
	uint32_t pending_count;
};

struct vmt_sites *
vmt_sites_new(struct vmt_module_history *history, struct vmt_stack_source source)
{
	struct vmt_sites *sites = calloc(1, sizeof(*sites));

	if (!sites)
		return NULL;
	sites->history = history;
	sites->source = source;
	return sites;
}

void
vmt_sites_free(struct vmt_sites *sites)
{
	if (!sites)
		return;
	free(sites->entries);
	free(sites->index);
	free(sites->variants);
	free(sites->spans);
	free(sites);
}

static uint32_t
hash_of(struct vmt_site_key key)
{
	uint64_t word = (uint64_t)key.stack << 32 | (uint32_t)key.advice << 8 | key.kind;

	return (uint32_t)vmt_hash_word(word);
}

static struct slot *
slot_of(const struct vmt_sites *sites, struct vmt_site_key key)
{
	uint32_t at = hash_of(key) & sites->index_mask;

	while (sites->index[at].site != NONE && !vmt_sites_is_same_key(sites->index[at].key, key))
		at = (at + 1) & sites->index_mask;
	return &sites->index[at];
}

/* Every variant is an entry, only the first made of each key is in the index. */
static void
fill_index(struct vmt_sites *sites)
{
	for (uint32_t i = 0; i < sites->count; i++) {
		struct slot *slot = slot_of(sites, sites->entries[i].key);

		if (slot->site == NONE)
			*slot = (struct slot){sites->entries[i].key, i};
	}
}

static bool
same_spans(const struct vmt_sites *sites, const struct vmt_site_entry *entry, const uint32_t *spans,
	   uint32_t frames)
{
	if (entry->frames != frames)
		return false;
	return !frames ||
	       memcmp(sites->spans + entry->first_span, spans, frames * sizeof(*spans)) == 0;
}

/* The site of a key with these spans, or the empty place where it belongs. */
static uint32_t *
variant_of(const struct vmt_sites *sites, struct vmt_site_key key, const uint32_t *spans,
	   uint32_t frames)
{
	uint64_t hash = vmt_hash_bytes(spans, frames * sizeof(*spans)) + hash_of(key);
	uint32_t at = (uint32_t)vmt_hash_word(hash) & sites->variants_mask;

	for (;; at = (at + 1) & sites->variants_mask) {
		uint32_t site = sites->variants[at];

		if (site == NONE || (vmt_sites_is_same_key(sites->entries[site].key, key) &&
				     same_spans(sites, &sites->entries[site], spans, frames)))
			return &sites->variants[at];
	}
}

static uint32_t *
own_variant(const struct vmt_sites *sites, uint32_t site)
{
	const struct vmt_site_entry *entry = &sites->entries[site];

	return variant_of(sites, entry->key, sites->spans + entry->first_span, entry->frames);
}

/* Where several sites have become one, the first. */
static void
fill_variants(struct vmt_sites *sites)
{
	memset(sites->variants, 0xff,
	       ((size_t)sites->variants_mask + 1) * sizeof(*sites->variants));
	sites->variants_used = 0;
	for (uint32_t i = 0; i < sites->count; i++) {
		uint32_t *place = own_variant(sites, i);

		if (*place == NONE) {
			*place = i;
			sites->variants_used++;
		}
	}
}

/* Of a site whose spans are new. */
static void
note_variant(struct vmt_sites *sites, uint32_t site)
{
	uint32_t *place;

	if (sites->variants_used > sites->variants_mask / 4 * 3) {
		fill_variants(sites);
		return;
	}
	place = own_variant(sites, site);
	if (*place == NONE) {
		*place = site;
		sites->variants_used++;
	}
}

static int
grow_entries(struct vmt_sites *sites)
{
	uint32_t room = sites->room ? sites->room * 2 : 256;
	struct vmt_site_entry *entries;
	struct slot *index;
	uint32_t *variants;

	if (sites->count < sites->room)
		return 0;
	index = malloc((size_t)room * 2 * sizeof(*index));
	variants = malloc((size_t)room * 2 * sizeof(*variants));
	entries = aligned_alloc(_Alignof(struct vmt_site_entry), room * sizeof(*entries));
	if (!index || !variants || !entries) {
		free(index);
		free(variants);
		free(entries);
		return -ENOMEM;
	}
	if (sites->count)
		memcpy(entries, sites->entries, sites->count * sizeof(*entries));
	free(sites->entries);
	free(sites->index);
	free(sites->variants);
	for (size_t i = 0; i < (size_t)room * 2; i++)
		index[i].site = NONE;
	sites->index = index;
	sites->index_mask = room * 2 - 1;
	sites->variants = variants;
	sites->variants_mask = room * 2 - 1;
	sites->entries = entries;
	sites->room = room;
	fill_index(sites);
	fill_variants(sites);
	return 0;
}

static int
grow_spans(struct vmt_sites *sites, uint32_t more)
{
	uint64_t room = sites->spans_room ? sites->spans_room : 4096;
	uint32_t *spans;

	if (sites->spans && sites->spans_room - sites->spans_used >= more)
		return 0;
	while (room - sites->spans_used < more)
		room *= 2;
	spans = reallocarray(sites->spans, room, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	sites->spans = spans;
	sites->spans_room = room;
	return 0;
}

/* A return address may be the first byte after its function, or after its module: the byte before
 * it belongs to the call. */
static bool
resolve(const struct vmt_sites *sites, const uint64_t *addresses, uint32_t frames, uint32_t *spans)
{
	bool complete = true;

	for (uint32_t i = 0; i < frames; i++) {
		spans[i] = vmt_module_history_resolve(sites->history, addresses[i] - 1);
		complete &= spans[i] != 0;
	}
	return complete;
}

static const uint64_t *
addresses_of(const struct vmt_sites *sites, uint32_t stack, uint32_t *frames)
{
	const uint64_t *addresses = NULL;

	*frames = 0;
	if (stack && sites->source.stack)
		addresses = sites->source.stack(sites->source.context, stack, frames);
	if (!addresses)
		*frames = 0;
	if (*frames > MAX_FRAMES)
		*frames = MAX_FRAMES;
	return addresses;
}

static void
wait_for_loads(struct vmt_sites *sites, uint32_t site)
{
	if (sites->pending_count == MAX_PENDING)
		return;
	sites->entries[site].pending = true;
	sites->pending[sites->pending_count++] = (struct pending){site, PENDING_LOADS};
}

static int
add(struct vmt_sites *sites, struct vmt_site_key key, uint32_t *site)
{
	struct vmt_site_entry *entry;
	const uint64_t *addresses;
	uint32_t frames;

	addresses = addresses_of(sites, key.stack, &frames);
	if (sites->count == NONE - 1 || grow_entries(sites) || grow_spans(sites, frames))
		return -ENOMEM;
	*site = sites->count++;
	entry = &sites->entries[*site];
	*entry = (struct vmt_site_entry){
	    .key = key,
	    .first_span = sites->spans_used,
	    .frames = frames,
	    .era = vmt_module_history_current(sites->history),
	};
	sites->spans_used += frames;
	if (!resolve(sites, addresses, frames, sites->spans + entry->first_span))
		wait_for_loads(sites, *site);
	note_variant(sites, *site);
	return 0;
}

/* The era has changed since the newest variant was compared: find the variant whose modules are
 * those of now, or make one. */
static int
find_variant_slow(struct vmt_sites *sites, uint32_t first, uint32_t *site)
{
	struct vmt_site_key key = sites->entries[first].key;
	uint32_t spans[MAX_FRAMES];
	uint32_t frames;
	const uint64_t *addresses = addresses_of(sites, key.stack, &frames);
	int status;

	resolve(sites, addresses, frames, spans);
	*site = *variant_of(sites, key, spans, frames);
	if (*site == NONE) {
		status = add(sites, key, site);
		if (status)
			return status;
	}
	sites->entries[first].newest = *site;
	sites->entries[*site].era = vmt_module_history_current(sites->history);
	return 0;
}

int
vmt_sites_intern(struct vmt_sites *sites, struct vmt_site_key key, uint32_t *site)
{
	uint32_t first = sites->room ? slot_of(sites, key)->site : NONE;
	int status;

	if (first == NONE) {
		status = add(sites, key, site);
		if (!status) {
			sites->entries[*site].newest = *site;
			*slot_of(sites, key) = (struct slot){key, *site};
		}
		return status;
	}
	*site = sites->entries[first].newest;
	if (sites->entries[*site].era == vmt_module_history_current(sites->history))
		return 0;
	return find_variant_slow(sites, first, site);
}

void
vmt_sites_expect(const struct vmt_sites *sites, struct vmt_site_key key)
{
	if (sites->room)
		__builtin_prefetch(&sites->index[hash_of(key) & sites->index_mask]);
}

void
vmt_sites_expect_entry(const struct vmt_sites *sites, uint32_t site)
{
	if (site < sites->count)
		__builtin_prefetch(&sites->entries[site], 1);
}

void
vmt_sites_expect_soon(const struct vmt_sites *sites, struct vmt_site_key key)
{
	if (sites->room)
		vmt_sites_expect_entry(sites, sites->index[hash_of(key) & sites->index_mask].site);
}

/* Fills in frames that had no module; those that had one keep it. */
static bool
fill_in(struct vmt_sites *sites, struct vmt_site_entry *entry)
{
	uint32_t *spans = sites->spans + entry->first_span;
	uint32_t frames;
	const uint64_t *addresses = addresses_of(sites, entry->key.stack, &frames);
	bool complete = true;
	bool changed = false;

	for (uint32_t i = 0; i < entry->frames && i < frames; i++) {
		if (!spans[i]) {
			spans[i] = vmt_module_history_resolve(sites->history, addresses[i] - 1);
			changed |= spans[i] != 0;
		}
		complete &= spans[i] != 0;
	}
	if (changed)
		note_variant(sites, (uint32_t)(entry - sites->entries));
	return complete;
}

void
vmt_sites_loaded(struct vmt_sites *sites)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < sites->pending_count; i++) {
		struct pending *pending = &sites->pending[i];
		struct vmt_site_entry *entry = &sites->entries[pending->site];

		if (fill_in(sites, entry) || --pending->loads_left == 0)
			entry->pending = false;
		else
			sites->pending[kept++] = *pending;
	}
	sites->pending_count = kept;
}

struct vmt_site_entry *
vmt_sites_get(struct vmt_sites *sites, uint32_t site)
{
	assert(site < sites->count);
	return &sites->entries[site];
}

uint32_t
vmt_sites_count(const struct vmt_sites *sites)
{
	return sites->count;
}

const uint32_t *
vmt_sites_spans(const struct vmt_sites *sites, const struct vmt_site_entry *entry)
{
	return entry->frames ? sites->spans + entry->first_span : NULL;
}

static void
fold(struct vmt_site_entry *into, struct vmt_site_entry *from)
{
	for (int i = 0; i < VMT_FIGURES; i++) {
		into->exact[i] += from->exact[i];
		into->estimate[i] += from->estimate[i];
		from->exact[i] = 0;
		from->estimate[i] = 0;
	}
	vmt_sites_vote_class(into, from->class, from->class_lead_bytes);
	into->estimated |= from->estimated;
	into->sampled |= from->sampled;
	into->least |= from->least;
}

uint32_t
vmt_sites_merged_into(const struct vmt_sites *sites, uint32_t site)
{
	return *own_variant(sites, site);
}

void
vmt_sites_merge(struct vmt_sites *sites)
{
	if (sites->count == 0)
		return;
	fill_variants(sites);
	for (uint32_t i = 0; i < sites->count; i++) {
		uint32_t into = *own_variant(sites, i);

		if (into != i)
			fold(&sites->entries[into], &sites->entries[i]);
	}
}

void
vmt_sites_vote_class(struct vmt_site_entry *entry, uint8_t class, uint64_t bytes)
{
	if (entry->class == class && entry->class_lead_bytes) {
		entry->class_lead_bytes += bytes;
	} else if (bytes > entry->class_lead_bytes) {
		entry->class = class;
		entry->class_lead_bytes = bytes - entry->class_lead_bytes;
	} else {
		entry->class_lead_bytes -= bytes;
	}
}

uint64_t
vmt_sites_round(uint64_t exact, double estimate)
{
	estimate = round(estimate);
	if (estimate >= 0)
		return exact + (uint64_t)estimate;
	return -estimate < (double)exact ? exact - (uint64_t)-estimate : 0;
}

uint64_t
vmt_sites_figure(const struct vmt_site_entry *entry, enum vmt_figure figure)
{
	return vmt_sites_round(entry->exact[figure], entry->estimate[figure]);
}

void
vmt_sites_mark(struct vmt_sites *sites)
{
	for (uint32_t i = 0; i < sites->count; i++) {
		struct vmt_site_entry *entry = &sites->entries[i];

		entry->exact[VMT_FIGURE_HELD_BEFORE] = vmt_sites_held(entry);
	}
}

/* Sites that are made later begin with 0, as of all that they have. */
void
vmt_sites_begin_part(struct vmt_sites *sites, enum vmt_figure part, enum vmt_figure of)
{
	for (uint32_t i = 0; i < sites->count; i++) {
		struct vmt_site_entry *entry = &sites->entries[i];

		entry->exact[part] = 0 - entry->exact[of];
		entry->estimate[part] = -entry->estimate[of];
	}
}

void
vmt_sites_end_part(struct vmt_sites *sites, enum vmt_figure part, enum vmt_figure of)
{
	for (uint32_t i = 0; i < sites->count; i++) {
		struct vmt_site_entry *entry = &sites->entries[i];

		entry->exact[part] += entry->exact[of];
		entry->estimate[part] += entry->estimate[of];
	}
}

static int
make_room_to_keep(struct vmt_sites_kept *kept, uint32_t count)
{
	struct vmt_site_entry *entries;

	if (count <= kept->room)
		return 0;
	entries = aligned_alloc(_Alignof(struct vmt_site_entry), count * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	free(kept->entries);
	kept->entries = entries;
	kept->room = count;
	return 0;
}

int
vmt_sites_keep(struct vmt_sites *sites, struct vmt_sites_kept *kept)
{
	int status = make_room_to_keep(kept, sites->room);

	if (status)
		return status;
	kept->count = sites->count;
	kept->pending_count = sites->pending_count;
	kept->spans_used = sites->spans_used;
	if (sites->count)
		memcpy(kept->entries, sites->entries, sites->count * sizeof(*kept->entries));
	for (uint32_t i = 0; i < sites->count; i++) {
		struct vmt_site_entry *entry = &sites->entries[i];

		for (int j = VMT_FIGURE_LIVE_COUNT; j <= VMT_FIGURE_PINS; j++) {
			entry->exact[j] = 0;
			entry->estimate[j] = 0;
		}
		entry->class = 0;
		entry->class_lead_bytes = 0;
	}
	return 0;
}

void
vmt_sites_restore(struct vmt_sites *sites, const struct vmt_sites_kept *kept)
{
	bool has_new = sites->count > kept->count;

	assert(sites->count >= kept->count);
	sites->count = kept->count;
	sites->pending_count = kept->pending_count;
	sites->spans_used = kept->spans_used;
	if (kept->count)
		memcpy(sites->entries, kept->entries, kept->count * sizeof(*kept->entries));
	if (!has_new)
		return;
	for (uint32_t i = 0; i <= sites->index_mask; i++)
		sites->index[i].site = NONE;
	fill_index(sites);
	fill_variants(sites);
}

void
vmt_sites_kept_free(struct vmt_sites_kept *kept)
{
	free(kept->entries);
	*kept = (struct vmt_sites_kept){0};
}

uint32_t
vmt_sites_find(const struct vmt_sites *sites, struct vmt_site_key key)
{
	uint32_t first = sites->room ? slot_of(sites, key)->site : NONE;

	return first == NONE ? NONE : sites->entries[first].newest;
}

uint64_t
vmt_sites_held(const struct vmt_site_entry *entry)
{
	uint64_t reserved = vmt_sites_figure(entry, VMT_FIGURE_TOTAL_RESERVED);
	uint64_t released = vmt_sites_figure(entry, VMT_FIGURE_RELEASED);

	return reserved > released ? reserved - released : 0;
}

size_t
vmt_sites_longest_way(const struct vmt_sites *sites)
{
	size_t longest = 0;
	size_t way = 0;

	for (size_t i = 0; sites->room && i <= sites->index_mask; i++) {
		way = sites->index[i].site == NONE ? 0 : way + 1;
		longest = way > longest ? way : longest;
	}
	return longest;
}
