/*
 * demand.h: do the events say that memory has moved, where RSS does not yet?
 *
 * RSS at rest is read once a second, and a snapshot follows where it moves. Events are drained
 * sooner. Where they say that a program holds much more than at the last reading, RSS is read at
 * once, so that a short peak is seen while it is there. Where blocks were freed that their
 * allocator keeps, RSS does not move at all: then a snapshot is wanted, or who looks sees them live
 * for long. Much: 4 MiB, and a twentieth of RSS. Where it leads to nothing again and again, as with
 * a heap that is turned over all the time, it is heeded more and more seldom.
 *
 * What a program holds is counted roughly: of blocks whose size no event has, their mean is taken.
 * Bytes, and nanoseconds of one monotonic clock. Single-threaded; nothing is allocated.
 */
#ifndef VMT_DEMAND_H
#define VMT_DEMAND_H

#include "format/event.h"

#include <stdbool.h>
#include <stdint.h>

/* From here on a release is an event of the map ring, with its size. */
#define VMT_HELD_LARGE_BYTES (UINT64_C(64) << 10)

/* By the events of one process, as they are drained. Zero it to begin. */
struct vmt_held {
	uint64_t sample_bytes;	 /* a sampled block stands for so much at least; 0: all are there */
	int64_t heap_bytes;	 /* in live blocks */
	int64_t mapped_bytes;	 /* by calls that map, the break included */
	uint64_t released_bytes; /* over all time: what unmapped ranges had in RAM, where known */
	uint64_t small_bytes;	 /* of small blocks, over all time; their number, for their mean */
	uint64_t small_count;
};

/* An event of the map ring. */
void vmt_held_note(struct vmt_held *held, const struct vmt_event *event);

/* What is counted of slots of the heap ring, until it is added up. */
struct vmt_held_blocks {
	uint64_t small_bytes;
	uint64_t small_count;
	uint64_t large_bytes;
	uint64_t released_count; /* small ones: their size is in no slot */
};

/* Without branches for what is frequent: no predictor foresees kinds. */
static inline void
vmt_held_count(struct vmt_held_blocks *blocks, const struct vmt_held *held, uint8_t kind,
	       uint64_t bytes)
{
	bool is_new = kind < VMT_EVENT_FREE;
	bool is_small = is_new & (bytes < VMT_HELD_LARGE_BYTES);

	blocks->released_count += !is_new & (kind <= VMT_EVENT_DELETE);
	blocks->small_bytes += is_small ? bytes : 0;
	blocks->small_count += is_small;
	if (__builtin_expect(is_new & !is_small, 0))
		blocks->large_bytes += bytes > held->sample_bytes ? bytes : held->sample_bytes;
}

void vmt_held_add(struct vmt_held *held, const struct vmt_held_blocks *blocks);

/* Of one process. Zero it to begin. */
struct vmt_demand {
	int64_t read_bytes; /* held at the last reading */
	uint64_t read_rss_bytes;
	uint64_t read_ns;
	uint64_t pause_ns; /* after a reading, until the next is wanted */
	bool was_wanted;
	int64_t snapshot_heap_bytes; /* held at the last snapshot */
	uint64_t snapshot_released_bytes;
	uint64_t snapshot_pause_ns;
};

bool vmt_demand_wants_reading(const struct vmt_demand *demand, const struct vmt_held *held,
			      uint64_t now_ns);
bool vmt_demand_wants_snapshot(const struct vmt_demand *demand, const struct vmt_held *held,
			       uint64_t snapshot_ns, uint64_t now_ns);

/* What was done, for whatever reason. Returns how soon RSS is to be read again where a reading was
 * wanted, else 0. */
uint64_t vmt_demand_note_reading(struct vmt_demand *demand, const struct vmt_held *held,
				 uint64_t rss_bytes, uint64_t now_ns);
void vmt_demand_note_snapshot(struct vmt_demand *demand, const struct vmt_held *held,
			      uint64_t since_last_ns, bool was_wanted);

#endif
