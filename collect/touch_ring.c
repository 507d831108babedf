#include "collect/touch_ring.h"

#include "base/assert.h"
#include "base/atomic.h"

#include <string.h>

/* Behind header, ip and ids. */
#define SAMPLE_TIME_AT 24u
#define TIME_BEFORE_END 16u
#define LEAST_BYTES 16u

void
vmt_touch_ring_begin(struct vmt_touch_ring *ring, void *pages, uint64_t page_bytes,
		     uint64_t data_bytes)
{
	vmt_assert(data_bytes != 0 && (data_bytes & (data_bytes - 1)) == 0);
	ring->page = pages;
	ring->data = (const unsigned char *)pages + page_bytes;
	ring->bytes = data_bytes;
	ring->head = ring->tail = vmt_atomic_load_acquire(&ring->page->data_tail);
	ring->damaged = 0;
}

/* More than the buffer holds is not to be believed. */
void
vmt_touch_ring_look(struct vmt_touch_ring *ring)
{
	uint64_t head = vmt_atomic_load_acquire(&ring->page->data_head);

	if (head - ring->tail > ring->bytes) {
		ring->damaged++;
		ring->tail = head;
	}
	ring->head = head;
}

/* A word never goes over the end: records and the buffer are made of whole ones. */
static uint64_t
word_at(const struct vmt_touch_ring *ring, uint64_t position)
{
	uint64_t word;

	memcpy(&word, ring->data + (position & (ring->bytes - 8)), sizeof(word));
	return word;
}

static struct perf_event_header
header_at(const struct vmt_touch_ring *ring, uint64_t position)
{
	uint64_t word = word_at(ring, position);
	struct perf_event_header header;

	memcpy(&header, &word, sizeof(header));
	return header;
}

bool
vmt_touch_ring_next(struct vmt_touch_ring *ring, uint64_t *time)
{
	uint64_t left = ring->head - ring->tail;
	struct perf_event_header header;
	uint64_t time_at;

	vmt_assert(left <= ring->bytes);
	if (left == 0)
		return false;
	header = header_at(ring, ring->tail);
	if (header.size < LEAST_BYTES || header.size % 8 != 0 || header.size > left) {
		ring->damaged++;
		ring->tail = ring->head;
		return false;
	}
	time_at = header.size - TIME_BEFORE_END;
	if (header.type == PERF_RECORD_SAMPLE && header.size > SAMPLE_TIME_AT)
		time_at = SAMPLE_TIME_AT;
	*time = word_at(ring, ring->tail + time_at);
	return true;
}

void
vmt_touch_ring_take(struct vmt_touch_ring *ring, unsigned char *scratch,
		    struct vmt_touch_record *record)
{
	struct perf_event_header header = header_at(ring, ring->tail);
	uint64_t at = (ring->tail + sizeof(header)) & (ring->bytes - 1);
	size_t body_bytes = header.size - sizeof(header);
	size_t until_end = (size_t)(ring->bytes - at);

	vmt_assert(header.size >= LEAST_BYTES && header.size <= ring->head - ring->tail);
	*record = (struct vmt_touch_record){header.type, header.misc, ring->data + at, body_bytes};
	vmt_assert(at < ring->bytes);
	if (body_bytes > until_end) {
		memcpy(scratch, ring->data + at, until_end);
		memcpy(scratch + until_end, ring->data, body_bytes - until_end);
		record->body = scratch;
	}
	ring->tail += header.size;
}

void
vmt_touch_ring_give_back(const struct vmt_touch_ring *ring)
{
	vmt_assert(ring->head - ring->tail <= ring->bytes);
	vmt_atomic_store_release(&ring->page->data_tail, ring->tail);
}
