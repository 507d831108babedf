#include "format/head.h"

#include "base/pages.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(struct vmt_head) >= VMT_HEAD_MIN_BYTES, "heads only grow");
_Static_assert(sizeof(struct vmt_head) <= VMT_HEAD_MAX_BYTES, "what is read has a limit");

/* A trace head with more than this is not one that any version makes. */
#define MAX_HEAD_BYTES (UINT64_C(1) << 36)
#define MAX_CAPACITY (UINT32_C(1) << 24)

static uint64_t
round_up(uint64_t bytes)
{
	return vmt_pages_up(bytes, VMT_PAGE_LEAST_BYTES);
}

static uint64_t
shard_slots_bytes(const struct vmt_head *head)
{
	return (uint64_t)head->heap_capacity * sizeof(struct vmt_heap_event) +
	       (uint64_t)head->map_capacity * sizeof(struct vmt_map_event);
}

void
vmt_head_lay_out(struct vmt_head *head)
{
	uint64_t controls = (uint64_t)head->shards * VMT_RING_CLASSES * sizeof(struct vmt_ring);
	uint64_t at = round_up(sizeof(*head));

	memset(head->magic, 0, sizeof(head->magic));
	memcpy(head->magic, VMT_MAGIC, sizeof(VMT_MAGIC));
	head->version = VMT_VERSION;
	head->head_bytes = sizeof(*head);
	head->controls_offset = at;
	at = round_up(at + controls);
	head->slots_offset = at;
	at = round_up(at + head->shards * shard_slots_bytes(head));
	head->stack_index_offset = at;
	at = round_up(at + head->stack_index_entries * sizeof(uint64_t));
	head->stack_words_offset = at;
	at = round_up(at + head->stack_words * sizeof(uint64_t));
	head->modules_offset = at;
	head->chunks_offset = round_up(at + head->modules_bytes);
}

static bool
is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* The counts, bounded so that no sum of the layout can overflow. */
static const char *
check_counts(const struct vmt_head *head)
{
	if (!is_power_of_two(head->shards) || head->shards > VMT_MAX_SHARDS)
		return "damaged head: number of rings";
	if (!is_power_of_two(head->heap_capacity) || head->heap_capacity < VMT_RING_MIN_CAPACITY ||
	    head->heap_capacity > MAX_CAPACITY)
		return "damaged head: size of the heap rings";
	if (!is_power_of_two(head->map_capacity) || head->map_capacity < VMT_RING_MIN_CAPACITY ||
	    head->map_capacity > MAX_CAPACITY)
		return "damaged head: size of the map rings";
	if (!is_power_of_two(head->stack_index_entries) ||
	    head->stack_index_entries > MAX_HEAD_BYTES / sizeof(uint64_t))
		return "damaged head: size of the stack index";
	if (head->stack_words == 0 || head->stack_words > UINT32_MAX)
		return "damaged head: size of the stack table";
	if (head->modules_bytes < 8 || head->modules_bytes > UINT32_MAX ||
	    head->modules_bytes % 8 != 0)
		return "damaged head: size of the module table";
	return NULL;
}

struct region {
	uint64_t offset;
	uint64_t bytes;
};

/* Counts are bounded: no sum of an offset below MAX_HEAD_BYTES and a size overflows. */
static const char *
check_regions(const struct region *regions, size_t count, uint64_t end)
{
	for (size_t i = 0; i < count; i++) {
		if (regions[i].offset % VMT_PAGE_LEAST_BYTES != 0 ||
		    regions[i].offset > MAX_HEAD_BYTES || regions[i].bytes > MAX_HEAD_BYTES ||
		    regions[i].offset + regions[i].bytes > end)
			return "damaged head: a region lies outside";
		for (size_t k = 0; k < i; k++) {
			if (regions[i].offset < regions[k].offset + regions[k].bytes &&
			    regions[k].offset < regions[i].offset + regions[i].bytes)
				return "damaged head: two regions overlap";
		}
	}
	return NULL;
}

static const char *
check_offsets(const struct vmt_head *head)
{
	const struct region regions[] = {
	    {0, head->head_bytes},
	    {head->controls_offset,
	     (uint64_t)head->shards * VMT_RING_CLASSES * sizeof(struct vmt_ring)},
	    {head->slots_offset, head->shards * shard_slots_bytes(head)},
	    {head->stack_index_offset, head->stack_index_entries * sizeof(uint64_t)},
	    {head->stack_words_offset, head->stack_words * sizeof(uint64_t)},
	    {head->modules_offset, head->modules_bytes},
	};

	if (head->chunks_offset % VMT_PAGE_LEAST_BYTES != 0 || head->chunks_offset > MAX_HEAD_BYTES)
		return "damaged head: where its chunks begin";
	return check_regions(regions, sizeof(regions) / sizeof(*regions), head->chunks_offset);
}

static const char *
check_values(const struct vmt_head *head)
{
	if (!is_power_of_two(head->page_bytes) || head->page_bytes < VMT_PAGE_LEAST_BYTES ||
	    head->page_bytes > VMT_PAGE_MOST_BYTES)
		return "damaged head: page size";
	if (head->cmdline_bytes > VMT_CMDLINE_BYTES)
		return "damaged head: length of the command line";
	if (!vmt_text_find_byte(head->exe, sizeof(head->exe), '\0'))
		return "damaged head: name of the executable";
	if (head->clock > VMT_CLOCK_TSC)
		return "damaged head: unknown clock";
	if (head->malloc_mode > VMT_MALLOC_ALL)
		return "damaged head: unknown malloc mode";
	if (head->stack_mode > VMT_STACKS_DWARF)
		return "damaged head: unknown stack mode";
	return NULL;
}

static bool
is_text(const char *bytes, size_t room)
{
	return vmt_text_find_byte(bytes, room, '\0') != NULL;
}

static const char *
check_go(const struct vmt_go *go)
{
	if (go->sites_count > VMT_GO_SITES || go->objects_count > VMT_GO_OBJECTS ||
	    !is_text(go->version, sizeof(go->version)))
		return "damaged head: table of the Go runtime";
	for (uint32_t i = 0; i < go->sites_count; i++) {
		if (!is_text(go->sites[i].symbol, sizeof(go->sites[i].symbol)) ||
		    !is_text(go->sites[i].why, sizeof(go->sites[i].why)))
			return "damaged head: system calls of the Go runtime";
	}
	for (uint32_t i = 0; i < go->objects_count; i++) {
		if (!is_text(go->objects[i].symbol, sizeof(go->objects[i].symbol)))
			return "damaged head: counters of the Go runtime";
	}
	return NULL;
}

const char *
vmt_head_check(const struct vmt_head *head)
{
	const char *wrong;

	if (memcmp(head->magic, VMT_MAGIC, sizeof(VMT_MAGIC)) != 0)
		return "not a vmtrace trace";
	if (head->version < VMT_OLDEST_VERSION || head->version > VMT_VERSION)
		return "made by another version of vmtrace";
	if ((head->features & VMT_FEATURES_REQUIRED & ~VMT_FEATURES_KNOWN) != 0)
		return "made by a newer vmtrace: it uses features that this one does not know";
	if (head->head_bytes < VMT_HEAD_MIN_BYTES || head->head_bytes > VMT_HEAD_MAX_BYTES)
		return "damaged head: its own size";
	wrong = check_values(head);
	if (wrong == NULL)
		wrong = check_counts(head);
	if (wrong == NULL)
		wrong = check_offsets(head);
	if (wrong == NULL)
		wrong = check_go(&head->go);
	return wrong;
}

struct vmt_ring_view
vmt_head_ring(const struct vmt_head *head, unsigned char *base, uint32_t shard,
	      enum vmt_ring_class ring_class)
{
	uint64_t control = (uint64_t)shard * VMT_RING_CLASSES + ring_class;
	uint64_t slots = head->slots_offset + shard * shard_slots_bytes(head);
	bool heap = ring_class == VMT_RING_HEAP;

	if (!heap)
		slots += (uint64_t)head->heap_capacity * sizeof(struct vmt_heap_event);
	return (struct vmt_ring_view){
	    .control = (struct vmt_ring *)(void *)(base + head->controls_offset +
						   control * sizeof(struct vmt_ring)),
	    .slots = base + slots,
	    .capacity = heap ? head->heap_capacity : head->map_capacity,
	    .slot_bytes = heap ? sizeof(struct vmt_heap_event) : sizeof(struct vmt_map_event),
	};
}
