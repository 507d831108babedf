#include "collect/demand.h"

#include "base/assert.h"

#include <sys/mman.h>

#define MILLISECOND UINT64_C(1000000)

#define MUCH_LEAST_BYTES (UINT64_C(4) << 20)
#define MUCH_PART 20u

#define READING_PAUSE_NS (10 * MILLISECOND)
#define READING_PAUSE_MOST_NS (1000 * MILLISECOND)
#define SNAPSHOT_PAUSE_NS (250 * MILLISECOND)
#define SNAPSHOT_PAUSE_MOST_NS (5000 * MILLISECOND)
#define MOVED_BYTES (UINT64_C(1) << 20)

/* More is no length of a mapping, and keeps sums in range. */
#define LENGTH_MOST (UINT64_C(1) << 47)

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int64_t
bounded(uint64_t bytes)
{
	return (int64_t)(bytes < LENGTH_MOST ? bytes : LENGTH_MOST);
}

static void
add(int64_t *sum, int64_t bytes)
{
	(void)__builtin_add_overflow(*sum, bytes, sum);
}

static void
note_brk(struct vmt_held *held, const struct vmt_event *event)
{
	uint64_t to = event->address;
	uint64_t from = event->argument_a;

	if (to > from)
		add(&held->mapped_bytes, bounded(to - from));
	else
		add(&held->mapped_bytes, -bounded(from - to));
}

/* What a range had in RAM, where its pages were looked at. */
static void
note_release(struct vmt_held *held, const struct vmt_event *event)
{
	if (event->marks & VMT_MARK_LOOKED)
		held->released_bytes += (uint64_t)bounded(event->argument_a);
}

void
vmt_held_note(struct vmt_held *held, const struct vmt_event *event)
{
	if (event->error != 0)
		return;
	switch (event->kind) {
	case VMT_EVENT_FREE:
	case VMT_EVENT_REALLOC_BEGIN:
	case VMT_EVENT_DELETE:
		add(&held->heap_bytes, -bounded(larger(event->length, held->sample_bytes)));
		break;
	case VMT_EVENT_MMAP:
		if (event->protection & PROT_WRITE)
			add(&held->mapped_bytes, bounded(event->length));
		break;
	case VMT_EVENT_MREMAP:
		add(&held->mapped_bytes, bounded(event->length) - bounded(event->argument_b));
		break;
	case VMT_EVENT_MUNMAP:
		add(&held->mapped_bytes, -bounded(event->length));
		note_release(held, event);
		break;
	case VMT_EVENT_MMAP_BEGIN:
	case VMT_EVENT_MADVISE:
		note_release(held, event);
		break;
	case VMT_EVENT_BRK:
		note_brk(held, event);
		break;
	default:
		break;
	}
}

void
vmt_held_add(struct vmt_held *held, const struct vmt_held_blocks *blocks)
{
	uint64_t least = blocks->small_count * held->sample_bytes;
	uint64_t mean;

	held->small_count += blocks->small_count;
	held->small_bytes += blocks->small_bytes;
	mean = held->small_count ? held->small_bytes / held->small_count : 0;
	add(&held->heap_bytes, bounded(larger(blocks->small_bytes, least)));
	add(&held->heap_bytes, bounded(blocks->large_bytes));
	add(&held->heap_bytes, -bounded(blocks->released_count * larger(mean, held->sample_bytes)));
}

static uint64_t
much(const struct vmt_demand *demand)
{
	return larger(MUCH_LEAST_BYTES, demand->read_rss_bytes / MUCH_PART);
}

static int64_t
held_bytes(const struct vmt_held *held)
{
	int64_t sum = held->heap_bytes;

	add(&sum, held->mapped_bytes);
	return sum;
}

static uint64_t
distance(int64_t a, int64_t b)
{
	return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

bool
vmt_demand_wants_reading(const struct vmt_demand *demand, const struct vmt_held *held,
			 uint64_t now_ns)
{
	int64_t bytes = held_bytes(held);

	return bytes > demand->read_bytes && distance(bytes, demand->read_bytes) >= much(demand) &&
	       now_ns - demand->read_ns >= larger(demand->pause_ns, READING_PAUSE_NS);
}

bool
vmt_demand_wants_snapshot(const struct vmt_demand *demand, const struct vmt_held *held,
			  uint64_t snapshot_ns, uint64_t now_ns)
{
	uint64_t released = held->released_bytes - demand->snapshot_released_bytes;

	return snapshot_ns != 0 &&
	       (distance(held->heap_bytes, demand->snapshot_heap_bytes) >= much(demand) ||
		released >= much(demand)) &&
	       now_ns - snapshot_ns >= larger(demand->snapshot_pause_ns, SNAPSHOT_PAUSE_NS);
}

uint64_t
vmt_demand_note_reading(struct vmt_demand *demand, const struct vmt_held *held, uint64_t rss_bytes,
			uint64_t now_ns)
{
	bool wanted = vmt_demand_wants_reading(demand, held, now_ns);
	uint64_t moved = distance((int64_t)rss_bytes, (int64_t)demand->read_rss_bytes);

	/* What follows a reading tells whether it was worth it. */
	if (moved >= MOVED_BYTES)
		demand->pause_ns = 0;
	else if (wanted)
		demand->pause_ns = larger(2 * demand->pause_ns, 2 * READING_PAUSE_NS);
	if (demand->pause_ns > READING_PAUSE_MOST_NS)
		demand->pause_ns = READING_PAUSE_MOST_NS;
	demand->read_bytes = held_bytes(held);
	demand->read_rss_bytes = rss_bytes;
	demand->read_ns = now_ns;
	return wanted ? larger(READING_PAUSE_NS, demand->pause_ns / 4) : 0;
}

void
vmt_demand_note_snapshot(struct vmt_demand *demand, const struct vmt_held *held,
			 uint64_t since_last_ns, bool was_wanted)
{
	uint64_t pause_ns = larger(demand->snapshot_pause_ns, SNAPSHOT_PAUSE_NS);

	if (since_last_ns >= 4 * pause_ns)
		demand->snapshot_pause_ns = SNAPSHOT_PAUSE_NS;
	else if (was_wanted)
		demand->snapshot_pause_ns = 2 * pause_ns;
	if (demand->snapshot_pause_ns > SNAPSHOT_PAUSE_MOST_NS)
		demand->snapshot_pause_ns = SNAPSHOT_PAUSE_MOST_NS;
	demand->snapshot_heap_bytes = held->heap_bytes;
	demand->snapshot_released_bytes = held->released_bytes;
	vmt_assert(demand->snapshot_pause_ns <= SNAPSHOT_PAUSE_MOST_NS);
}
