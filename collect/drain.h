/*
 * drain.h: takes events out of the rings into chunks
 *
 * Positions of a ring are taken in order, in batches: committed slots are copied and checked (a
 * producer may discard a slot under us while it believes that nobody collects), encoded, appended
 * as one EVENTS chunk, and only then released. A collector killed anywhere in between loses
 * nothing: the chunk's [position_from, position_to) tells the reader what not to take twice.
 *
 * A slot that stays claimed and not committed for VMT_DRAIN_PATIENCE_NS at the head of its line is
 * given up and counted as abandoned. When a chunk can't be written, nothing is released: producers
 * find the ring full, and count. Single-threaded; scratch is shared by all drains of a collector.
 * Control words are the target's to damage: every loop is bounded by the ring's capacity.
 *
 * Where the trace is bounded (bound.h), the heap's events are thinned: a batch of which nothing is
 * left is released without a chunk, and counts in the next one, or in one of its own where the
 * level has risen meanwhile. Once the trace is full no chunk is written, and all is released.
 */
#ifndef VMT_DRAIN_H
#define VMT_DRAIN_H

#include "base/buffer.h"
#include "collect/batch.h"
#include "collect/demand.h"
#include "collect/initial_events.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_DRAIN_RINGS (VMT_MAX_SHARDS * VMT_RING_CLASSES)
#define VMT_DRAIN_OWN_RANGES 32u
#define VMT_DRAIN_BATCH 16384u
/* Longer than a busy machine keeps a writer from its CPU, shorter than writers wait for room. */
#define VMT_DRAIN_PATIENCE_NS UINT64_C(400000000)
/* Few events wait this long for company, to save chunks. */
#define VMT_DRAIN_DELAY_NS UINT64_C(100000000)

enum vmt_drain_mode {
	VMT_DRAIN_LAZY,	 /* rings that are filling up, or have waited */
	VMT_DRAIN_ALL,	 /* whatever is committed */
	VMT_DRAIN_FINAL, /* the process is gone: claimed slots are given up at once */
};

struct vmt_drain_ring {
	struct vmt_ring_view view;
	uint64_t position; /* next to account for */
	struct vmt_batch_debt debt;
	uint64_t drained_ns;	/* last time it was emptied; 0 = never */
	uint64_t busy_since_ns; /* 0 = position was not seen busy */
	uint64_t busy_position;
	uint64_t time_unit; /* of its last batch's times; 0 = not known */
};

struct vmt_drain {
	struct vmt_drain_ring rings[VMT_DRAIN_RINGS];
	uint32_t count;
	/* Told of each FORK event's child that has memory of its own, and of the event's time (in
	 * ticks); NULL: not wanted. */
	void (*forked)(void *context, uint32_t child_pid, uint64_t time);
	void *context;
	/* The tracer's own memory in the process, as its first events said. */
	struct vmt_own_range own[VMT_DRAIN_OWN_RANGES];
	uint32_t own_count;
	struct vmt_bound *bound;  /* of the file; NULL: none, and then no head is needed */
	struct vmt_head *head;	  /* told before the first chunk that is thinned */
	uint64_t random_id;	  /* of the trace */
	uint64_t peak_rss_bytes;  /* as the process said at its exit; 0 = it did not */
	uint64_t said_peak_bytes; /* ... or before an exec */
	uint64_t deeds;	      /* events that tell of what the process did with memory by itself */
	struct vmt_held held; /* by the events so far, roughly */
	bool discards_told;   /* VMT_FEATURE_DISCARDS_TOLD */
	bool freed_lazily;    /* an advice of MADV_FREE came by: there may be LazyFree pages */
};

struct vmt_drain_scratch {
	struct vmt_buffer payload;
	struct vmt_columns_encoder encoder;
	uint8_t kinds[VMT_DRAIN_BATCH]; /* of a batch's copied events; 255 = none copied */
};

/* Takes up the rings of a checked head mapped at base. */
void vmt_drain_open(struct vmt_drain *drain, const struct vmt_head *layout, unsigned char *base);

/* Writes what the mode asks for. 0, or the writer's error: try again later. */
int vmt_drain_collect(struct vmt_drain *drain, struct vmt_writer *writer,
		      struct vmt_drain_scratch *scratch, uint64_t now_ns, enum vmt_drain_mode mode);

/* How full the fullest ring is, in sixteenths of its capacity; 0 = all empty. */
uint32_t vmt_drain_fill(const struct vmt_drain *drain);

/* Whether every position ever claimed in a ring is accounted for in chunks. */
bool vmt_drain_is_empty(const struct vmt_drain_ring *ring);

#endif
