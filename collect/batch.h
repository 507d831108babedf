/*
 * batch.h: makes a chunk of events, where a trace must not grow too
 *
 * A batch is one chunk in the making: positions of one ring in order, the times of its events and
 * of those that are left out (format/thin.h). A batch of which nothing is left gets no chunk, it is
 * a debt: what was left out counts in the ring's next chunk, or in one of its own where the level
 * has risen meanwhile or the process has ended. Single-threaded. Errors: the writer's.
 */
#ifndef VMT_BATCH_H
#define VMT_BATCH_H

#include "collect/writer.h"
#include "format/columns.h"
#include "format/head.h"
#include "format/thin.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a batch's first times, to find what all are multiples of. */
#define VMT_BATCH_UNIT_TIMES 16u

struct vmt_batch {
	struct vmt_chunk chunk;
	struct vmt_columns_encoder *encoder;
	uint8_t *kinds;
	uint64_t first;	     /* position of kinds[0] */
	uint32_t count;	     /* kinds noted */
	bool left_empty;     /* a position was accounted for that nobody has released */
	uint32_t level;	     /* of thin.h */
	uint32_t thinned;    /* left out by it */
	uint32_t heap_kinds; /* in a map ring: releases of large blocks */
	uint64_t random_id;
	uint64_t thinned_min; /* times of what was left out */
	uint64_t thinned_max;
	uint64_t time_first;
	uint64_t time_unit; /* greatest common divisor of the first times' differences */
};

/* Of a ring. */
struct vmt_batch_debt {
	uint64_t filed; /* the position as far as the chunks go: behind it all was left out */
	uint64_t from;	/* where something was: times of the first and the last */
	uint64_t to;
	uint32_t level; /* and at which level */
};

static inline uint64_t
vmt_batch_common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* An event of that time is in the batch. */
static inline void
vmt_batch_note_time(struct vmt_batch *batch, uint64_t time)
{
	struct vmt_chunk *chunk = &batch->chunk;

	if (chunk->events == 0) {
		batch->time_first = chunk->time_min = chunk->time_max = time;
	} else {
		chunk->time_min = time < chunk->time_min ? time : chunk->time_min;
		chunk->time_max = time > chunk->time_max ? time : chunk->time_max;
	}
	if (chunk->events++ < VMT_BATCH_UNIT_TIMES)
		batch->time_unit =
		    vmt_batch_common_divisor(time - batch->time_first, batch->time_unit);
}

/* Events of these slots are in the batch. */
static inline void
vmt_batch_note_times(struct vmt_batch *batch, const struct vmt_heap_event *slots, uint32_t count)
{
	uint32_t i = 0;
	uint64_t min, max;

	while (i < count && batch->chunk.events < VMT_BATCH_UNIT_TIMES)
		vmt_batch_note_time(batch, slots[i++].time);
	batch->chunk.events += count - i;
	min = batch->chunk.time_min;
	max = batch->chunk.time_max;
	for (; i < count; i++) {
		min = slots[i].time < min ? slots[i].time : min;
		max = slots[i].time > max ? slots[i].time : max;
	}
	batch->chunk.time_min = min;
	batch->chunk.time_max = max;
}

/* Whether the heap's event has to be left out; if so, it is noted. */
static inline bool
vmt_batch_leaves_out(struct vmt_batch *batch, uint64_t address, uint64_t length, uint64_t time)
{
	if (__builtin_expect(batch->level == 0, 1) ||
	    vmt_thin_keeps(batch->level, batch->random_id, address, length))
		return false;
	if (batch->thinned++ == 0)
		batch->thinned_min = batch->thinned_max = time;
	batch->thinned_min = time < batch->thinned_min ? time : batch->thinned_min;
	batch->thinned_max = time > batch->thinned_max ? time : batch->thinned_max;
	return true;
}

/* Writes the batch that begins at the position, or notes what it left out. The head, told before
 * the first chunk that is thinned, may be NULL where the writer has no bound. 0: its positions are
 * accounted for. */
int vmt_batch_file(struct vmt_batch *batch, struct vmt_batch_debt *debt, uint64_t position,
		   struct vmt_writer *writer, struct vmt_head *head, const unsigned char *payload);

/* Whether something was left out that no chunk accounts for. */
static inline bool
vmt_batch_owes(const struct vmt_batch_debt *debt, uint64_t position)
{
	return debt->filed != position;
}

/* Writes a chunk without events for what was left out up to the position, if there is anything. */
int vmt_batch_settle(struct vmt_batch_debt *debt, uint32_t ring, uint64_t position,
		     struct vmt_writer *writer, struct vmt_head *head);

#endif
