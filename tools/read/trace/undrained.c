#include "tools/read/trace/undrained.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Ring class of each kind, plus one; 0 = no such kind. */
static const uint8_t class_of_kind[VMT_EVENT_KINDS] = {
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) [id] = VMT_RING_##ring + 1,
#include "format/event_kinds.def"
};

struct walk {
	struct vmt_event *events; /* NULL while counting */
	size_t count;
	uint64_t until; /* ticks: what is later waits in the ring to be left out */
	bool finished;	/* the collector has accounted for every position */
	uint64_t abandoned;
	uint64_t gone;
	uint64_t gone_thinned; /* of these, what was left out or lost */
	uint64_t thinned;      /* left out, by a chunk's word */
};

/* How far the chunks account for a ring. */
struct account {
	uint64_t drained; /* the first position behind */
	bool thinned;	  /* what left the ring behind it may have been left out */
};

static uint32_t
ring_count(const struct vmt_head *head)
{
	return head->shards * VMT_RING_CLASSES;
}

static uint64_t
shard_bytes(const struct vmt_head *head)
{
	return (uint64_t)head->heap_capacity * sizeof(struct vmt_heap_event) +
	       (uint64_t)head->map_capacity * sizeof(struct vmt_map_event);
}

int
vmt_undrained_load(struct vmt_undrained *remains, const struct vmt_file_reader *file,
		   const struct vmt_head *head, struct vmt_err *err)
{
	uint64_t controls_bytes = ring_count(head) * sizeof(struct vmt_ring);

	*remains = (struct vmt_undrained){0};
	remains->controls = vmt_file_reader_copy(file, head->controls_offset, controls_bytes, err);
	if (remains->controls == NULL)
		goto out;
	remains->slots =
	    vmt_file_reader_copy(file, head->slots_offset, shard_bytes(head) * head->shards, err);
	if (remains->slots == NULL)
		goto out;
	remains->counters = vmt_file_reader_copy(file, head->controls_offset, controls_bytes, err);
	if (remains->counters == NULL)
		goto out;
	return 0;
out:
	vmt_undrained_free(remains);
	return -EIO;
}

static struct vmt_ring_view
ring_view(const struct vmt_undrained *remains, const struct vmt_head *head, uint32_t ring)
{
	unsigned char *shard = remains->slots + ring / VMT_RING_CLASSES * shard_bytes(head);
	struct vmt_ring_view view = {.control = &remains->controls[ring]};

	if (ring % VMT_RING_CLASSES == VMT_RING_HEAP) {
		view.slots = shard;
		view.capacity = head->heap_capacity;
		view.slot_bytes = sizeof(struct vmt_heap_event);
	} else {
		view.slots = shard + (uint64_t)head->heap_capacity * sizeof(struct vmt_heap_event);
		view.capacity = head->map_capacity;
		view.slot_bytes = sizeof(struct vmt_map_event);
	}
	return view;
}

/* False for a slot whose bytes can't be an event of this ring. */
static bool
slot_event(const struct vmt_ring_view *view, uint64_t position, uint32_t ring,
	   struct vmt_event *event)
{
	const void *slot = vmt_ring_sequence(view, position);
	enum vmt_ring_class class = ring % VMT_RING_CLASSES;

	if (class == VMT_RING_HEAP)
		vmt_event_from_heap(event, slot);
	else
		vmt_event_from_map(event, slot);
	if (vmt_event_may_be_skipped(event->kind) && !vmt_event_is_known(event->kind))
		return true;
	if (event->kind >= VMT_EVENT_KINDS || class_of_kind[event->kind] == 0)
		return false;
	/* Releases of large blocks go through the map ring, which has room for committed bytes. */
	return class == VMT_RING_MAP || class_of_kind[event->kind] == VMT_RING_HEAP + 1;
}

static void
walk_position(struct walk *walk, const struct vmt_ring_view *view, uint64_t position, uint32_t ring)
{
	struct vmt_event event;

	switch (vmt_ring_look(view, position)) {
	case VMT_RING_COMMITTED:
		if (!slot_event(view, position, ring, &event)) {
			walk->abandoned++;
			break;
		}
		if (event.time > walk->until) {
			walk->gone++;
			break;
		}
		if (walk->events != NULL)
			walk->events[walk->count] = event;
		walk->count++;
		break;
	case VMT_RING_RELEASED:
		walk->gone++;
		break;
	case VMT_RING_DEAD:
	case VMT_RING_DEAD_DONE:
		break;
	case VMT_RING_BUSY:
	case VMT_RING_EMPTY: /* below head: a slot's bytes that never reached the file */
		if (walk->finished)
			walk->gone++;
		else
			walk->abandoned++;
		break;
	}
}

/* From the last position that the chunks account for up to head. */
static void
walk_ring(struct walk *walk, const struct vmt_ring_view *view, uint64_t from, uint32_t ring)
{
	uint64_t head = view->control->head;
	uint64_t start = head > view->capacity ? head - view->capacity : 0;

	if (head <= from)
		return;
	if (start > from)
		walk->gone += start - from;
	else
		start = from;
	for (uint64_t position = start; position < head; position++)
		walk_position(walk, view, position, ring);
}

static void
walk_all(struct walk *walk, const struct vmt_undrained *remains, const struct vmt_head *head,
	 const struct account *accounts)
{
	walk->count = 0;
	walk->abandoned = 0;
	walk->gone = 0;
	walk->gone_thinned = 0;
	for (uint32_t ring = 0; ring < ring_count(head); ring++) {
		struct vmt_ring_view view = ring_view(remains, head, ring);
		uint64_t gone = walk->gone;

		walk_ring(walk, &view, accounts[ring].drained, ring);
		if (accounts[ring].thinned)
			walk->gone_thinned += walk->gone - gone;
	}
}

/* What a chunk's positions are beside what it counts; at level 0 every one is counted. */
static uint64_t
thinned_by(const struct vmt_chunk *chunk)
{
	uint64_t counted =
	    (uint64_t)chunk->events + chunk->abandoned + chunk->overwritten + chunk->dead;
	uint64_t positions = chunk->position_to - chunk->position_from;

	return VMT_CHUNK_THIN_LEVEL(chunk->flags) > 0 && positions > counted ? positions - counted
									     : 0;
}

/* Losses that the chunks tell, and how far they account for each ring. */
static void
read_chunk_accounts(const struct vmt_chunk_index *index, struct account *accounts,
		    struct walk *seen)
{
	for (size_t i = 0; i < index->count; i++) {
		const struct vmt_chunk *chunk = &index->chunks[i].header;
		struct account *account;

		if (chunk->kind != VMT_CHUNK_EVENTS)
			continue;
		account = &accounts[chunk->ring];
		if (chunk->position_from > account->drained)
			seen->gone += chunk->position_from - account->drained;
		if (chunk->position_to > account->drained)
			account->drained = chunk->position_to;
		account->thinned |= VMT_CHUNK_THIN_LEVEL(chunk->flags) > 0;
		seen->thinned += thinned_by(chunk);
		seen->abandoned += chunk->abandoned;
		seen->gone += chunk->overwritten;
	}
}

/* A producer killed between its swap and its count, beside a reader that took the count back,
 * leaves one below zero behind. */
static uint64_t
settled(uint64_t counter)
{
	return counter == UINT64_MAX ? 0 : counter;
}

/* Whether chunks may be missing at the file's end. */
static bool
is_cut(const struct vmt_trace_loss *loss, const struct vmt_head *head,
       const struct vmt_chunk_index *index)
{
	return loss->cut_bytes > 0 || (head->collected_end != VMT_END_RUNNING &&
				       vmt_chunk_index_last(index, VMT_CHUNK_END) == NULL);
}

static void
add_losses(struct vmt_trace_loss *loss, const struct vmt_undrained *remains,
	   const struct vmt_head *head, const struct vmt_chunk_index *index,
	   const struct walk *seen)
{
	uint64_t stepped = 0;
	uint64_t counted;

	for (uint32_t ring = 0; ring < ring_count(head); ring++) {
		const struct vmt_ring *control = &remains->counters[ring];

		for (size_t kind = 0; kind < VMT_EVENT_KINDS; kind++) {
			uint64_t overwritten = settled(control->overwritten[kind]);

			loss->dropped_by_kind[kind] += control->dropped[kind];
			loss->overwritten_by_kind[kind] += overwritten;
			loss->events_dropped += control->dropped[kind];
			loss->events_overwritten += overwritten;
		}
		loss->slots_abandoned += control->abandoned;
		stepped += control->stepped;
	}
	counted = loss->events_overwritten + loss->slots_abandoned + stepped;
	loss->events_missing = seen->gone > counted ? seen->gone - counted : 0;
	loss->slots_abandoned += seen->abandoned;
	loss->events_thinned = seen->thinned;
	if (is_cut(loss, head, index))
		return;
	counted =
	    loss->events_missing < seen->gone_thinned ? loss->events_missing : seen->gone_thinned;
	loss->events_missing -= counted;
	loss->events_thinned += counted;
}

static int
by_time(const void *left, const void *right)
{
	const struct vmt_event *a = left;
	const struct vmt_event *b = right;

	return (a->time > b->time) - (a->time < b->time);
}

int
vmt_undrained_settle(struct vmt_undrained *remains, const struct vmt_head *head,
		     const struct vmt_chunk_index *index, struct vmt_trace_loss *loss,
		     struct vmt_err *err)
{
	struct account accounts[VMT_MAX_SHARDS * VMT_RING_CLASSES] = {0};
	struct walk seen = {0};
	struct walk walk = {.until = head->full_since ? head->full_since : UINT64_MAX,
			    .finished = head->collected_end != VMT_END_RUNNING};

	assert(head->shards <= VMT_MAX_SHARDS);
	for (uint32_t ring = 0; ring < ring_count(head); ring++)
		accounts[ring].thinned = head->full_since != 0;
	read_chunk_accounts(index, accounts, &seen);
	walk_all(&walk, remains, head, accounts);
	walk.events = malloc(walk.count * sizeof(*walk.events) + 1);
	if (walk.events == NULL)
		return vmt_err_set(err, ENOMEM, "no memory for %zu events left in the rings",
				   walk.count);
	walk_all(&walk, remains, head, accounts);
	seen.abandoned += walk.abandoned;
	seen.gone += walk.gone;
	seen.gone_thinned = walk.gone_thinned;
	add_losses(loss, remains, head, index, &seen);
	qsort(walk.events, walk.count, sizeof(*walk.events), by_time);
	vmt_undrained_free(remains);
	remains->events = walk.events;
	remains->count = walk.count;
	return 0;
}

void
vmt_undrained_free(struct vmt_undrained *remains)
{
	free(remains->controls);
	free(remains->counters);
	free(remains->slots);
	free(remains->events);
	*remains = (struct vmt_undrained){0};
}
