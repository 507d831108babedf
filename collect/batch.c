#include "collect/batch.h"

#include "base/assert.h"

/* What was left out counts in the times of a chunk: its level holds from there on. */
static void
widen_times(struct vmt_batch *batch, const struct vmt_batch_debt *debt, bool owes)
{
	struct vmt_chunk *chunk = &batch->chunk;
	uint64_t from = batch->thinned_min;
	uint64_t to = batch->thinned_max;

	if (owes && (batch->thinned == 0 || debt->from < from))
		from = debt->from;
	else if (batch->thinned == 0)
		return;
	if (owes && debt->to > to)
		to = debt->to;
	if (chunk->events == 0 || from < chunk->time_min)
		chunk->time_min = from;
	if (chunk->events == 0 || to > chunk->time_max)
		chunk->time_max = to;
	vmt_assert(chunk->time_min <= chunk->time_max);
}

/* Whether the batch says nothing but that it was thinned. */
static bool
is_empty(const struct vmt_batch *batch)
{
	const struct vmt_chunk *chunk = &batch->chunk;

	return chunk->events == 0 && batch->thinned > 0 && chunk->abandoned == 0 &&
	       chunk->overwritten == 0 && chunk->dead == 0;
}

static void
note_debt(struct vmt_batch_debt *debt, const struct vmt_batch *batch, bool owes)
{
	if (!owes || batch->thinned_min < debt->from)
		debt->from = batch->thinned_min;
	if (!owes || batch->thinned_max > debt->to)
		debt->to = batch->thinned_max;
	debt->level = batch->level;
	vmt_assert(debt->from <= debt->to && debt->level != 0);
}

static bool
is_full(const struct vmt_writer *writer)
{
	return writer->bound && writer->bound->is_full;
}

static int
append(struct vmt_batch *batch, struct vmt_writer *writer, struct vmt_head *head,
       const unsigned char *payload)
{
	struct vmt_chunk *chunk = &batch->chunk;

	vmt_assert(batch->level < VMT_THIN_LEVELS);
	if (batch->level)
		vmt_atomic_or_relaxed(&head->features, VMT_FEATURE_THINNED);
	chunk->flags = (uint16_t)(batch->level << VMT_CHUNK_THIN_SHIFT);
	return vmt_writer_append(writer, chunk, payload,
				 chunk->events ? vmt_columns_end_encode(batch->encoder) : 0);
}

int
vmt_batch_file(struct vmt_batch *batch, struct vmt_batch_debt *debt, uint64_t position,
	       struct vmt_writer *writer, struct vmt_head *head, const unsigned char *payload)
{
	struct vmt_chunk *chunk = &batch->chunk;
	uint64_t end = writer->end_bytes;
	bool owes = vmt_batch_owes(debt, position);
	int result;

	if (is_full(writer))
		return 0;
	if (is_empty(batch)) {
		note_debt(debt, batch, owes);
		return 0;
	}
	widen_times(batch, debt, owes);
	result = append(batch, writer, head, payload);
	if (result < 0)
		return result;
	vmt_assert(batch->heap_kinds <= chunk->events && chunk->position_from == debt->filed);
	debt->filed = chunk->position_to;
	if (writer->bound && chunk->events)
		vmt_bound_move(writer->bound,
			       (writer->end_bytes - end) * batch->heap_kinds / chunk->events);
	return 0;
}

int
vmt_batch_settle(struct vmt_batch_debt *debt, uint32_t ring, uint64_t position,
		 struct vmt_writer *writer, struct vmt_head *head)
{
	struct vmt_batch batch = {.chunk = {.kind = VMT_CHUNK_EVENTS,
					    .ring = ring,
					    .position_from = debt->filed,
					    .position_to = position,
					    .time_min = debt->from,
					    .time_max = debt->to},
				  .level = debt->level};
	int result;

	if (!vmt_batch_owes(debt, position) || is_full(writer))
		return 0;
	vmt_assert(debt->filed < position && debt->from <= debt->to);
	result = append(&batch, writer, head, NULL);
	if (result == 0)
		debt->filed = position;
	return result;
}
