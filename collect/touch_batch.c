#include "collect/touch_batch.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define TABLE_ENTRIES (4 * VMT_TOUCH_BATCH_STACKS)

struct known_stack {
	uint64_t hash;
	uint32_t first; /* of the batch's frames */
	uint8_t count;
	uint8_t end;
};

static struct vmt_touch_sample *
samples_of(const struct vmt_touch_batch *batch)
{
	return (struct vmt_touch_sample *)(void *)batch->samples.bytes;
}

static struct known_stack *
stacks_of(const struct vmt_touch_batch *batch)
{
	return (struct known_stack *)(void *)batch->stacks.bytes;
}

static uint64_t *
frames_of(const struct vmt_touch_batch *batch)
{
	return (uint64_t *)(void *)batch->frames.bytes;
}

/* Indexes of stacks, from 1; 0: none. */
static uint32_t *
table_of(const struct vmt_touch_batch *batch)
{
	return (uint32_t *)(void *)batch->table.bytes;
}

static bool
reserve(struct vmt_touch_batch *batch, uint32_t frames)
{
	return vmt_buffer_reserve(&batch->samples,
				  VMT_TOUCH_BATCH_SAMPLES * sizeof(struct vmt_touch_sample)) &&
	       vmt_buffer_reserve(&batch->stacks,
				  VMT_TOUCH_BATCH_STACKS * sizeof(struct known_stack)) &&
	       vmt_buffer_reserve(&batch->table, TABLE_ENTRIES * sizeof(uint32_t)) &&
	       vmt_buffer_reserve(&batch->frames,
				  ((size_t)batch->frame_count + frames) * sizeof(uint64_t));
}

static uint64_t
hash_of(const struct vmt_touch_stack *stack)
{
	uint64_t hash = stack->end + UINT64_C(0x9e3779b97f4a7c15);

	for (uint32_t i = 0; i < stack->count; i++)
		hash = (hash ^ stack->frames[i]) * UINT64_C(0xff51afd7ed558ccd) ^ hash >> 29;
	return hash ^ hash >> 32;
}

static bool
is_same(const struct vmt_touch_batch *batch, const struct known_stack *known,
	const struct vmt_touch_stack *stack, uint64_t hash)
{
	return known->hash == hash && known->count == stack->count && known->end == stack->end &&
	       memcmp(frames_of(batch) + known->first, stack->frames,
		      stack->count * sizeof(uint64_t)) == 0;
}

static uint32_t
add_stack(struct vmt_touch_batch *batch, const struct vmt_touch_stack *stack, uint64_t hash)
{
	vmt_assert(batch->stack_count < VMT_TOUCH_BATCH_STACKS);
	vmt_assert((batch->frame_count + (size_t)stack->count) * sizeof(uint64_t) <=
		   batch->frames.capacity);
	stacks_of(batch)[batch->stack_count] =
	    (struct known_stack){hash, batch->frame_count, (uint8_t)stack->count, stack->end};
	memcpy(frames_of(batch) + batch->frame_count, stack->frames,
	       stack->count * sizeof(uint64_t));
	batch->frame_count += stack->count;
	return batch->stack_count++;
}

/* False: it is new, and there is no place. */
static bool
find_stack(struct vmt_touch_batch *batch, const struct vmt_touch_stack *stack, uint32_t *index)
{
	uint64_t hash = hash_of(stack);
	uint32_t *table = table_of(batch);
	uint32_t slot = (uint32_t)hash % TABLE_ENTRIES;

	for (; table[slot] != 0; slot = (slot + 1) % TABLE_ENTRIES) {
		*index = table[slot] - 1;
		vmt_assert(*index < batch->stack_count);
		if (is_same(batch, &stacks_of(batch)[*index], stack, hash))
			return true;
	}
	if (batch->stack_count == VMT_TOUCH_BATCH_STACKS)
		return false;
	*index = add_stack(batch, stack, hash);
	table[slot] = *index + 1;
	return true;
}

bool
vmt_touch_batch_add(struct vmt_touch_batch *batch, const struct vmt_touch_sample *sample,
		    const struct vmt_touch_stack *stack)
{
	struct vmt_touch_sample *samples;
	uint32_t at, index;

	if (batch->sample_count == VMT_TOUCH_BATCH_SAMPLES || stack->count > VMT_STACK_MAX_FRAMES ||
	    !reserve(batch, stack->count) || !find_stack(batch, stack, &index))
		return false;
	samples = samples_of(batch);
	/* Another processor's may have come a little late. */
	for (at = batch->sample_count++; at > 0 && samples[at - 1].time > sample->time; at--)
		samples[at] = samples[at - 1];
	samples[at] = *sample;
	samples[at].stack = index;
	return true;
}

/* False: there is no room. */
static bool
encode(const struct vmt_touch_batch *batch, struct vmt_touch_encoder *encoder)
{
	struct vmt_touch_stack stack;

	for (uint32_t i = 0; i < batch->stack_count; i++) {
		const struct known_stack *known = &stacks_of(batch)[i];

		vmt_assert(known->first + known->count <= batch->frame_count);
		stack.count = known->count;
		stack.end = known->end;
		memcpy(stack.frames, frames_of(batch) + known->first,
		       known->count * sizeof(uint64_t));
		if (!vmt_touch_put_stack(encoder, &stack))
			return false;
	}
	for (uint32_t i = 0; i < batch->sample_count; i++)
		if (!vmt_touch_put_sample(encoder, &samples_of(batch)[i]))
			return false;
	return true;
}

static size_t
room_for(const struct vmt_touch_batch *batch)
{
	return sizeof(struct vmt_touch_head) + batch->stack_count * (size_t)16 +
	       batch->frame_count * (size_t)10 +
	       batch->sample_count * (size_t)VMT_TOUCH_SAMPLE_MAX_BYTES + VMT_TOUCH_STACK_MAX_BYTES;
}

int
vmt_touch_batch_write(struct vmt_touch_batch *batch, const struct vmt_touch_head *head,
		      uint64_t time, struct vmt_buffer *scratch, struct vmt_writer *writer)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_TOUCH,
				  .record_bytes = sizeof(*head),
				  .events = batch->sample_count,
				  .time_min = time,
				  .time_max = time};
	struct vmt_touch_encoder encoder;
	int result;

	if (!vmt_buffer_reserve(scratch, room_for(batch)))
		return -ENOMEM;
	vmt_touch_begin_encode(&encoder, scratch->bytes, scratch->capacity);
	if (!encode(batch, &encoder))
		return -ENOMEM;
	if (batch->sample_count != 0) {
		chunk.time_min = samples_of(batch)[0].time;
		chunk.time_max = samples_of(batch)[batch->sample_count - 1].time;
		vmt_assert(chunk.time_min <= chunk.time_max);
	}
	result =
	    vmt_writer_append(writer, &chunk, scratch->bytes, vmt_touch_end_encode(&encoder, head));
	if (result == 0)
		vmt_touch_batch_drop(batch);
	return result;
}

void
vmt_touch_batch_drop(struct vmt_touch_batch *batch)
{
	if (batch->stack_count != 0)
		memset(batch->table.bytes, 0, TABLE_ENTRIES * sizeof(uint32_t));
	batch->sample_count = batch->stack_count = batch->frame_count = 0;
}

void
vmt_touch_batch_free(struct vmt_touch_batch *batch)
{
	vmt_buffer_free(&batch->samples);
	vmt_buffer_free(&batch->stacks);
	vmt_buffer_free(&batch->frames);
	vmt_buffer_free(&batch->table);
	batch->sample_count = batch->stack_count = batch->frame_count = 0;
}
