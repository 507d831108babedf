#include "collect/drain.h"

#include "base/assert.h"
#include "collect/releases.h"
#include "format/advice.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

/* Many times what one position can need: its state changes at most twice more. */
#define RELEASE_TRIES 8u

/* No event's kind: the position holds nothing that waits for the file. */
#define NOT_COPIED UINT8_MAX

/* Slots that are asked for ahead: they lie in another processor's cache. */
#define AHEAD 16u

/* Slots from which on it is cheaper to take a ring's releases: two system calls' time. */
#define RELEASED_ALONE_FROM 128u

/* Heap slots that are encoded together: few enough to stay in the nearest cache. */
#define TOGETHER 64u

void
vmt_drain_open(struct vmt_drain *drain, const struct vmt_head *layout, unsigned char *base)
{
	memset(drain, 0, sizeof(*drain));
	vmt_assert(layout->shards != 0 && layout->shards <= VMT_MAX_SHARDS);
	drain->count = layout->shards * VMT_RING_CLASSES;
	drain->discards_told = (layout->features & VMT_FEATURE_DISCARDS_TOLD) != 0;
	if (layout->malloc_mode == VMT_MALLOC_SAMPLED)
		drain->held.sample_bytes = layout->malloc_sample_bytes;
	for (uint32_t i = 0; i < drain->count; i++)
		drain->rings[i].view = vmt_head_ring(layout, base, i / VMT_RING_CLASSES,
						     (enum vmt_ring_class)(i % VMT_RING_CLASSES));
}

static uint64_t
pending(const struct vmt_drain_ring *ring)
{
	uint64_t head = vmt_atomic_load_acquire(&ring->view.control->head);

	return head > ring->position ? head - ring->position : 0;
}

bool
vmt_drain_is_empty(const struct vmt_drain_ring *ring)
{
	return vmt_atomic_load_acquire(&ring->view.control->head) == ring->position;
}

uint32_t
vmt_drain_fill(const struct vmt_drain *drain)
{
	uint32_t fullest = 0;

	for (uint32_t i = 0; i < drain->count; i++) {
		uint64_t waiting = pending(&drain->rings[i]);
		uint64_t capacity = drain->rings[i].view.capacity;
		uint32_t fill = waiting >= capacity ? 16 : (uint32_t)(waiting * 16 / capacity);

		if (waiting && !fill)
			fill = 1;
		vmt_assert(fill <= 16);
		if (fill > fullest)
			fullest = fill;
	}
	return fullest;
}

static bool
is_of_heap(uint8_t kind)
{
	return kind < VMT_EVENT_FIRST_OF_MAP;
}

/* Whether it tells more than what was there, what came with a library, and an end. A new kind does.
 */
static bool
is_deed(uint8_t kind)
{
	return kind != VMT_EVENT_PRESENT && kind != VMT_EVENT_MODULE_LOAD &&
	       kind != VMT_EVENT_MODULE_UNLOAD && kind != VMT_EVENT_EXEC && kind != VMT_EVENT_EXIT;
}

/* What the collector itself acts upon. */
static void
note_event(struct vmt_drain *drain, const struct vmt_event *event)
{
	drain->deeds += is_deed(event->kind);
	if (event->kind == VMT_EVENT_EXIT)
		drain->peak_rss_bytes = event->length;
	if ((event->kind == VMT_EVENT_EXIT || event->kind == VMT_EVENT_EXEC) &&
	    event->length > drain->said_peak_bytes)
		drain->said_peak_bytes = event->length;
	if (event->kind == VMT_EVENT_PRESENT && event->argument_b == VMT_PRESENT_OWN &&
	    drain->own_count < VMT_DRAIN_OWN_RANGES)
		drain->own[drain->own_count++] =
		    (struct vmt_own_range){event->address, event->address + event->length};
	if (event->kind == VMT_EVENT_FORK && !(event->flags & CLONE_VM) && drain->forked)
		drain->forked(drain->context, (uint32_t)event->argument_a, event->time);
	if (event->kind == VMT_EVENT_MADVISE && event->advice == VMT_ADVICE_FREE)
		drain->freed_lazily = true;
	vmt_held_note(&drain->held, event);
}

/* Puts a committed slot into the batch. A slot of a kind that no event has was damaged by the
 * program. */
static void
put_map_slot(struct vmt_drain *drain, const struct vmt_ring_view *view, uint64_t position,
	     struct vmt_batch *batch)
{
	uint8_t *kind = &batch->kinds[batch->count++];
	struct vmt_map_event slot = {0};
	struct vmt_event event;

	vmt_assert(batch->count <= VMT_DRAIN_BATCH);
	*kind = NOT_COPIED;
	if (!vmt_ring_copy(view, position, &slot)) {
		batch->chunk.overwritten++;
		return;
	}
	vmt_event_from_map(&event, &slot);
	*kind = vmt_columns_is_kind(event.kind) ? event.kind : 0;
	if (is_of_heap(*kind) && *kind != 0 &&
	    vmt_batch_leaves_out(batch, event.address, event.length, event.time))
		return;
	if (!vmt_columns_put(batch->encoder, &event)) {
		batch->chunk.abandoned++;
		return;
	}
	batch->heap_kinds += is_of_heap(*kind);
	vmt_batch_note_time(batch, event.time);
	note_event(drain, &event);
}

/* Copies committed heap slots in a row from the batch's end on, up to the position `end`; how many
 * of them are to be encoded. */
static inline uint32_t
copy_heap_slots(const struct vmt_ring_view *view, uint64_t end, struct vmt_batch *batch,
		struct vmt_heap_event *slots)
{
	const uint64_t first = batch->first + batch->count;
	uint8_t *kinds = &batch->kinds[batch->count];
	uint32_t copied = 0, looked = 0;

	for (; first + looked < end; looked++) {
		struct vmt_heap_event *slot = &slots[copied];

		if (vmt_ring_look(view, first + looked) != VMT_RING_COMMITTED)
			break;
		__builtin_prefetch(vmt_ring_sequence(view, first + looked + AHEAD), 1);
		kinds[looked] = NOT_COPIED;
		if (__builtin_expect(!vmt_ring_copy(view, first + looked, slot), 0)) {
			batch->chunk.overwritten++;
			continue;
		}
		kinds[looked] = (uint8_t)(slot->address_kind >> VMT_ADDRESS_BITS);
		if (__builtin_expect(vmt_columns_is_kind(kinds[looked]), 1)) {
			copied++;
		} else {
			kinds[looked] = 0;
			batch->chunk.abandoned++;
		}
	}
	batch->count += looked;
	vmt_assert(batch->count <= VMT_DRAIN_BATCH && copied <= TOGETHER);
	return copied;
}

static void
count_held(struct vmt_held *held, const struct vmt_heap_event *slots, uint32_t count)
{
	struct vmt_held_blocks blocks = {0};

	for (uint32_t i = 0; i < count; i++)
		vmt_held_count(&blocks, held, (uint8_t)(slots[i].address_kind >> VMT_ADDRESS_BITS),
			       slots[i].size_thread & VMT_ADDRESS_MASK);
	vmt_held_add(held, &blocks);
}

/* Which of them are not left out, in their order. */
static uint32_t
thin_heap_slots(struct vmt_batch *batch, struct vmt_heap_event *slots, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!vmt_batch_leaves_out(batch, slots[i].address_kind & VMT_ADDRESS_MASK,
					  slots[i].size_thread & VMT_ADDRESS_MASK, slots[i].time))
			slots[kept++] = slots[i];
	}
	return kept;
}

/* The same for heap slots in a row, from `at` on; the position behind them. */
static uint64_t
put_heap_slots(struct vmt_drain *drain, const struct vmt_ring_view *ring, uint64_t at, uint64_t end,
	       struct vmt_batch *batch)
{
	/* Its own copy, of a size that is known here: nothing is looked up anew for each slot. */
	const struct vmt_ring_view view = {ring->control, ring->slots, ring->capacity,
					   sizeof(struct vmt_heap_event)};
	struct vmt_heap_event slots[TOGETHER];
	uint64_t limit;

	vmt_assert(ring->slot_bytes == view.slot_bytes && at == batch->first + batch->count);
	do {
		uint32_t count;

		limit = end - at < TOGETHER ? end : at + TOGETHER;
		count = copy_heap_slots(&view, limit, batch, slots);
		at = batch->first + batch->count;
		count_held(&drain->held, slots, count);
		if (batch->level != 0)
			count = thin_heap_slots(batch, slots, count);
		vmt_batch_note_times(batch, slots, count);
		/* All of them: kinds were looked at, and there is room for a whole batch. */
		(void)vmt_columns_put_heap(batch->encoder, slots, count);
	} while (at == limit && at < end);
	return at;
}

/* Puts committed slots in a row into the batch; the position behind them. */
static uint64_t
put_slots(struct vmt_drain *drain, uint32_t index, uint64_t at, uint64_t end,
	  struct vmt_batch *batch)
{
	const struct vmt_ring_view *view = &drain->rings[index].view;

	if (index % VMT_RING_CLASSES == VMT_RING_HEAP) {
		uint64_t stopped = put_heap_slots(drain, view, at, end, batch);

		drain->deeds += stopped - at;
		return stopped;
	}
	while (at < end && vmt_ring_look(view, at) == VMT_RING_COMMITTED)
		put_map_slot(drain, view, at++, batch);
	return at;
}

/* Whether the claimed slot at the ring's position has had its time. */
static bool
out_of_patience(struct vmt_drain_ring *ring, uint64_t position, uint64_t now_ns)
{
	if (!ring->busy_since_ns || ring->busy_position != position) {
		ring->busy_since_ns = now_ns;
		ring->busy_position = position;
		return false;
	}
	return now_ns - ring->busy_since_ns >= VMT_DRAIN_PATIENCE_NS;
}

/* Accounts for one position, committed or not; false when the batch ends before it. Only what was
 * copied waits for the file to be released, as what its kind says; whoever wins the swap of any
 * other state counts it. */
static bool
put_position(struct vmt_drain *drain, uint32_t index, uint64_t position, struct vmt_batch *batch,
	     uint64_t now_ns, enum vmt_drain_mode mode)
{
	struct vmt_drain_ring *ring = &drain->rings[index];

	for (unsigned tries = 0; tries < RELEASE_TRIES; tries++) {
		enum vmt_ring_state state = vmt_ring_look(&ring->view, position);
		bool waiting = state == VMT_RING_BUSY || state == VMT_RING_EMPTY;

		if (state == VMT_RING_COMMITTED) {
			if (put_slots(drain, index, position, position + 1, batch) > position)
				return true;
			continue;
		}
		if (waiting && mode != VMT_DRAIN_FINAL && !out_of_patience(ring, position, now_ns))
			return false;
		if (state != VMT_RING_RELEASED && state != VMT_RING_EMPTY &&
		    !vmt_ring_release(&ring->view, position, state))
			continue;
		batch->kinds[batch->count++] = NOT_COPIED;
		batch->left_empty |= state == VMT_RING_EMPTY;
		vmt_assert(batch->count <= VMT_DRAIN_BATCH);
		if (state == VMT_RING_RELEASED)
			batch->chunk.overwritten++;
		else if (waiting)
			batch->chunk.abandoned++;
		else
			batch->chunk.dead++;
		return true;
	}
	return false;
}

/* Steps over what producers have discarded in bulk: every position below tail is released. */
static uint64_t
skip_discarded(const struct vmt_drain_ring *ring, struct vmt_batch *batch, uint64_t head)
{
	uint64_t tail = vmt_atomic_load_acquire(&ring->view.control->tail);
	uint64_t skipped = tail - ring->position;

	if (tail <= ring->position || tail > head)
		return ring->position;
	if (skipped > INT32_MAX)
		skipped = INT32_MAX;
	batch->chunk.overwritten = (uint32_t)skipped;
	return ring->position + skipped;
}

/* Fills a batch from the ring's position on; its position_to says how far it got. */
static void
fill_batch(struct vmt_drain *drain, uint32_t index, struct vmt_batch *batch, uint64_t now_ns,
	   enum vmt_drain_mode mode)
{
	struct vmt_drain_ring *ring = &drain->rings[index];
	uint64_t head = vmt_atomic_load_acquire(&ring->view.control->head);
	uint64_t at = skip_discarded(ring, batch, head);
	uint64_t room =
	    ring->view.capacity < VMT_DRAIN_BATCH ? ring->view.capacity : VMT_DRAIN_BATCH;
	uint64_t end = at + room < head ? at + room : head;

	batch->first = at;
	while (at < end && batch->chunk.overwritten < INT32_MAX) {
		at = put_slots(drain, index, at, end, batch);
		if (at == end || !put_position(drain, index, at, batch, now_ns, mode))
			break;
		at++;
	}
	vmt_assert(at >= batch->first && at - batch->first <= room);
	vmt_assert(batch->count == at - batch->first);
	vmt_assert((uint64_t)batch->chunk.events + batch->thinned + batch->chunk.abandoned +
		       batch->chunk.overwritten + batch->chunk.dead ==
		   at - ring->position);
	vmt_assert(ring->debt.filed <= ring->position && ring->position <= batch->first);
	batch->chunk.position_from = ring->debt.filed;
	batch->chunk.position_to = at;
}

static void
step_on(struct vmt_drain_ring *ring, const struct vmt_batch *batch)
{
	vmt_assert(batch->chunk.position_to >= ring->position);
	ring->position = batch->chunk.position_to;
	vmt_assert(ring->debt.filed <= ring->position);
	ring->busy_since_ns = 0;
	if (batch->chunk.events >= VMT_BATCH_UNIT_TIMES)
		ring->time_unit = batch->time_unit;
}

/* Whatever producers do meanwhile. */
static void
release_each(const struct vmt_ring_view *view, const struct vmt_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		if (batch->kinds[i] != NOT_COPIED)
			vmt_ring_release_filed(view, batch->first + i, batch->kinds[i]);
	}
}

static void
release_alone(const struct vmt_ring_view *view, const struct vmt_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		if (batch->kinds[i] != NOT_COPIED)
			vmt_ring_release_alone(view, batch->first + i, batch->kinds[i]);
	}
}

/* Hands the copied positions of a written batch back to the producers. */
static void
release_batch(const struct vmt_drain *drain, const struct vmt_ring_view *ring,
	      const struct vmt_batch *batch)
{
	const struct vmt_ring_view view = *ring; /* no store can change it */

	vmt_assert(batch->count <= view.capacity);
	vmt_assert(batch->count <= VMT_DRAIN_BATCH);
	if (drain->discards_told && batch->count >= RELEASED_ALONE_FROM &&
	    vmt_releases_begin(&view)) {
		release_alone(&view, batch);
		vmt_releases_end(&view);
	} else {
		release_each(&view, batch);
	}
	if (batch->left_empty)
		vmt_ring_help_tail(&view);
	else
		vmt_ring_lead_tail(&view, batch->first, batch->first + batch->count);
}

/* One batch of one ring: 1 = there may be more, 0 = nothing left to take now, else an error. */
static int
drain_batch(struct vmt_drain *drain, uint32_t index, struct vmt_writer *writer,
	    struct vmt_drain_scratch *scratch, uint64_t now_ns, enum vmt_drain_mode mode)
{
	struct vmt_drain_ring *ring = &drain->rings[index];
	struct vmt_batch batch = {.chunk = {.kind = VMT_CHUNK_EVENTS, .ring = index},
				  .encoder = &scratch->encoder,
				  .kinds = scratch->kinds,
				  .level = drain->bound ? vmt_bound_level(drain->bound) : 0,
				  .random_id = drain->random_id};
	int result = 0;

	if (batch.level != ring->debt.level)
		result = vmt_batch_settle(&ring->debt, index, ring->position, writer, drain->head);
	if (result < 0)
		return result;
	vmt_columns_begin_encode(batch.encoder, scratch->payload.bytes, scratch->payload.capacity,
				 ring->time_unit);
	fill_batch(drain, index, &batch, now_ns, mode);
	if (batch.chunk.position_to == ring->position)
		return 0;
	result = vmt_batch_file(&batch, &ring->debt, ring->position, writer, drain->head,
				scratch->payload.bytes);
	if (result < 0)
		return result;
	step_on(ring, &batch);
	if (batch.count)
		release_batch(drain, &ring->view, &batch);
	return 1;
}

static bool
is_due(const struct vmt_drain_ring *ring, uint64_t now_ns, enum vmt_drain_mode mode)
{
	uint64_t waiting = pending(ring);

	if (mode == VMT_DRAIN_FINAL)
		return waiting != 0 || vmt_batch_owes(&ring->debt, ring->position);
	if (waiting == 0 || mode != VMT_DRAIN_LAZY)
		return waiting != 0;
	return waiting >= ring->view.capacity / 4 ||
	       now_ns - ring->drained_ns >= VMT_DRAIN_DELAY_NS;
}

static int
drain_ring(struct vmt_drain *drain, uint32_t index, struct vmt_writer *writer,
	   struct vmt_drain_scratch *scratch, uint64_t now_ns, enum vmt_drain_mode mode)
{
	struct vmt_drain_ring *ring = &drain->rings[index];
	uint64_t goal = vmt_atomic_load_acquire(&ring->view.control->head);
	uint64_t batches = 2 + 2 * (uint64_t)ring->view.capacity / VMT_DRAIN_BATCH;
	int result = 1;

	vmt_assert(index < drain->count);
	while (result > 0 && batches-- && ring->position < goal)
		result = drain_batch(drain, index, writer, scratch, now_ns, mode);
	if (result >= 0 && mode == VMT_DRAIN_FINAL)
		result = vmt_batch_settle(&ring->debt, index, ring->position, writer, drain->head);
	ring->drained_ns = now_ns;
	return result < 0 ? result : 0;
}

int
vmt_drain_collect(struct vmt_drain *drain, struct vmt_writer *writer,
		  struct vmt_drain_scratch *scratch, uint64_t now_ns, enum vmt_drain_mode mode)
{
	int result = 0;

	if (!vmt_buffer_reserve(&scratch->payload, VMT_COLUMNS_ROOM(VMT_DRAIN_BATCH)))
		return -ENOMEM;
	for (uint32_t i = 0; i < drain->count && result == 0; i++) {
		if (is_due(&drain->rings[i], now_ns, mode))
			result = drain_ring(drain, i, writer, scratch, now_ns, mode);
	}
	return result;
}
