#include "collect/drain.h"

#include "format/codec.h"

#include <errno.h>
#include <string.h>

/* Many times what one position can need: its state changes at most twice more. */
#define RELEASE_TRIES 8u

/* No event's kind: the position holds nothing that waits for the file. */
#define NOT_COPIED UINT8_MAX

/* A full chunk's worth of events, or a quarter of a small ring, is not left waiting. */
#define LAZY_EVENTS 2048u

/* One chunk in the making. */
struct batch {
	struct vmt_chunk chunk;
	struct vmt_encoder encoder;
	uint64_t first; /* position of kinds[0] */
	uint32_t count; /* kinds noted */
};

void
vmt_drain_open(struct vmt_drain *drain, const struct vmt_head *layout, unsigned char *base)
{
	memset(drain, 0, sizeof(*drain));
	drain->count = layout->shards * VMT_RING_CLASSES;
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
		if (fill > fullest)
			fullest = fill;
	}
	return fullest;
}

/* Copies a committed slot. False when it was discarded meanwhile. */
static bool
copy_slot(const struct vmt_drain *drain, uint32_t index, uint64_t position, struct vmt_event *event)
{
	union {
		struct vmt_heap_event heap;
		struct vmt_map_event map;
	} slot = {.map = {0}};

	if (!vmt_ring_copy(&drain->rings[index].view, position, &slot))
		return false;
	if (index % VMT_RING_CLASSES == VMT_RING_HEAP)
		vmt_event_from_heap(event, &slot.heap);
	else
		vmt_event_from_map(event, &slot.map);
	return true;
}

static void
note_time(struct vmt_chunk *chunk, uint64_t time)
{
	if (chunk->events == 0 || time < chunk->time_min)
		chunk->time_min = time;
	if (chunk->events == 0 || time > chunk->time_max)
		chunk->time_max = time;
}

/* Puts a committed slot into the batch; *kind receives what to release it as. False when there is
 * no room left. */
static bool
put_slot(const struct vmt_drain *drain, uint32_t index, uint64_t position, struct batch *batch,
	 uint8_t *kind)
{
	struct vmt_event event;

	if (!copy_slot(drain, index, position, &event)) {
		batch->chunk.overwritten++;
		return true;
	}
	*kind = event.kind < VMT_EVENT_KINDS ? event.kind : 0;
	if (event.kind >= VMT_EVENT_KINDS) {
		batch->chunk.abandoned++;
		return true;
	}
	if (!vmt_codec_put_event(&batch->encoder, &event))
		return false;
	note_time(&batch->chunk, event.time);
	batch->chunk.events++;
	if (event.kind == VMT_EVENT_FORK && drain->forked)
		drain->forked(drain->context, (uint32_t)event.argument_a);
	return true;
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

/* Accounts for one position; false when the batch ends before it. Only what was copied waits for
 * the file to be released (*kind says as what); whoever wins the swap of any other state counts it.
 */
static bool
put_position(struct vmt_drain *drain, uint32_t index, uint64_t position, struct batch *batch,
	     uint8_t *kind, uint64_t now_ns, enum vmt_drain_mode mode)
{
	struct vmt_drain_ring *ring = &drain->rings[index];

	for (unsigned tries = 0; tries < RELEASE_TRIES; tries++) {
		enum vmt_ring_state state = vmt_ring_look(&ring->view, position);

		if (state == VMT_RING_COMMITTED)
			return put_slot(drain, index, position, batch, kind);
		if (state == VMT_RING_RELEASED) {
			batch->chunk.overwritten++;
			return true;
		}
		if ((state == VMT_RING_BUSY || state == VMT_RING_EMPTY) &&
		    mode != VMT_DRAIN_FINAL && !out_of_patience(ring, position, now_ns))
			return false;
		if (state != VMT_RING_EMPTY && !vmt_ring_release(&ring->view, position, state))
			continue;
		if (state == VMT_RING_BUSY || state == VMT_RING_EMPTY)
			batch->chunk.abandoned++;
		else
			batch->chunk.dead++;
		return true;
	}
	return false;
}

/* Steps over what producers have discarded in bulk: every position below tail is released. */
static uint64_t
skip_discarded(const struct vmt_drain_ring *ring, struct batch *batch, uint64_t head)
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
fill_batch(struct vmt_drain *drain, uint32_t index, struct batch *batch, uint8_t *kinds,
	   uint64_t now_ns, enum vmt_drain_mode mode)
{
	struct vmt_drain_ring *ring = &drain->rings[index];
	uint64_t head = vmt_atomic_load_acquire(&ring->view.control->head);
	uint64_t at = skip_discarded(ring, batch, head);

	batch->first = at;
	while (batch->chunk.overwritten < INT32_MAX && at < head &&
	       batch->count < VMT_DRAIN_BATCH && batch->count < ring->view.capacity) {
		kinds[batch->count] = NOT_COPIED;
		if (!put_position(drain, index, at, batch, &kinds[batch->count], now_ns, mode))
			break;
		batch->count++;
		at++;
	}
	batch->chunk.position_from = ring->position;
	batch->chunk.position_to = at;
}

/* Hands the copied positions of a written batch back to the producers. */
static void
release_batch(const struct vmt_ring_view *view, const struct batch *batch, const uint8_t *kinds)
{
	for (uint32_t i = 0; i < batch->count; i++)
		if (kinds[i] != NOT_COPIED)
			vmt_ring_release_filed(view, batch->first + i, kinds[i]);
	vmt_ring_help_tail(view);
}

/* One batch of one ring: 1 = there may be more, 0 = nothing left to take now, else an error. */
static int
drain_batch(struct vmt_drain *drain, uint32_t index, struct vmt_writer *writer,
	    struct vmt_drain_scratch *scratch, uint64_t now_ns, enum vmt_drain_mode mode)
{
	struct vmt_drain_ring *ring = &drain->rings[index];
	struct batch batch = {.chunk = {.kind = VMT_CHUNK_EVENTS, .ring = index}};
	size_t used;
	int result;

	vmt_codec_begin_encode(&batch.encoder, scratch->payload.bytes, scratch->payload.capacity);
	fill_batch(drain, index, &batch, scratch->kinds, now_ns, mode);
	if (batch.chunk.position_to == ring->position)
		return 0;
	used = (size_t)(batch.encoder.at - scratch->payload.bytes);
	result = vmt_writer_append(writer, &batch.chunk, scratch->payload.bytes, used);
	if (result < 0)
		return result;
	ring->position = batch.chunk.position_to;
	ring->busy_since_ns = 0;
	release_batch(&ring->view, &batch, scratch->kinds);
	return 1;
}

static bool
is_due(const struct vmt_drain_ring *ring, uint64_t now_ns, enum vmt_drain_mode mode)
{
	uint64_t waiting = pending(ring);

	if (waiting == 0 || mode != VMT_DRAIN_LAZY)
		return waiting != 0;
	return waiting >= LAZY_EVENTS || waiting >= ring->view.capacity / 4 ||
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

	while (result > 0 && batches-- && ring->position < goal)
		result = drain_batch(drain, index, writer, scratch, now_ns, mode);
	ring->drained_ns = now_ns;
	return result < 0 ? result : 0;
}

int
vmt_drain_collect(struct vmt_drain *drain, struct vmt_writer *writer,
		  struct vmt_drain_scratch *scratch, uint64_t now_ns, enum vmt_drain_mode mode)
{
	int result = 0;

	if (!vmt_buffer_reserve(&scratch->payload, VMT_DRAIN_BATCH * VMT_CODEC_EVENT_MAX_BYTES))
		return -ENOMEM;
	for (uint32_t i = 0; i < drain->count && result == 0; i++) {
		if (is_due(&drain->rings[i], now_ns, mode))
			result = drain_ring(drain, i, writer, scratch, now_ns, mode);
	}
	return result;
}
