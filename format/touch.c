#include "format/touch.h"

#include "base/assert.h"
#include "format/varint.h"

#include <string.h>

#define PAGE_SHIFT 12u /* addresses are kept in units of 4 KiB, whatever the kernel's page is */
#define MAX_PAGE (UINT64_MAX >> PAGE_SHIFT)

#define SAMPLE_SHIFT_MASK 0x3fu
#define SAMPLE_MAJOR 0x40u
#define SAMPLE_KERNEL 0x80u

/* The least that a stack and a sample take. */
#define STACK_MIN_BYTES 2u
#define SAMPLE_MIN_BYTES 5u

static size_t
room(const struct vmt_touch_encoder *encoder)
{
	return (size_t)(encoder->end - encoder->at);
}

static void
put_delta(struct vmt_touch_encoder *encoder, uint64_t value, uint64_t *previous)
{
	encoder->at = vmt_varint_put(encoder->at, vmt_varint_fold(value - *previous));
	*previous = value;
}

void
vmt_touch_begin_encode(struct vmt_touch_encoder *encoder, void *bytes, size_t length)
{
	vmt_assert(length >= sizeof(struct vmt_touch_head));
	memset(encoder, 0, sizeof(*encoder));
	encoder->begin = bytes;
	encoder->at = encoder->begin + sizeof(struct vmt_touch_head);
	encoder->end = encoder->begin + length;
}

bool
vmt_touch_put_stack(struct vmt_touch_encoder *encoder, const struct vmt_touch_stack *stack)
{
	vmt_assert(encoder->samples == 0 && stack->count <= VMT_STACK_MAX_FRAMES);
	if (room(encoder) < VMT_TOUCH_STACK_MAX_BYTES)
		return false;
	encoder->at = vmt_varint_put(encoder->at, stack->count);
	*encoder->at++ = stack->end;
	for (uint32_t i = 0; i < stack->count; i++)
		put_delta(encoder, stack->frames[i], &encoder->frame);
	encoder->stacks++;
	return true;
}

bool
vmt_touch_put_sample(struct vmt_touch_encoder *encoder, const struct vmt_touch_sample *sample)
{
	vmt_assert(sample->stack < encoder->stacks && sample->page_shift <= SAMPLE_SHIFT_MASK);
	if (room(encoder) < VMT_TOUCH_SAMPLE_MAX_BYTES)
		return false;
	put_delta(encoder, sample->time, &encoder->time);
	put_delta(encoder, sample->address >> PAGE_SHIFT, &encoder->page);
	encoder->at = vmt_varint_put(encoder->at, sample->thread);
	*encoder->at++ = (unsigned char)(sample->page_shift | (sample->major ? SAMPLE_MAJOR : 0) |
					 (sample->kernel ? SAMPLE_KERNEL : 0));
	encoder->at = vmt_varint_put(encoder->at, sample->stack);
	encoder->samples++;
	return true;
}

size_t
vmt_touch_end_encode(struct vmt_touch_encoder *encoder, const struct vmt_touch_head *head)
{
	struct vmt_touch_head written = *head;

	written.stacks = encoder->stacks;
	written.samples = encoder->samples;
	memcpy(encoder->begin, &written, sizeof(written));
	vmt_assert(encoder->at <= encoder->end);
	return (size_t)(encoder->at - encoder->begin);
}

bool
vmt_touch_begin_decode(struct vmt_touch_decoder *decoder, const struct vmt_chunk *chunk,
		       const void *bytes, size_t length, struct vmt_touch_head *head)
{
	size_t stored = chunk->record_bytes;
	uint64_t least;

	memset(decoder, 0, sizeof(*decoder));
	if (stored < sizeof(*head) || stored > length)
		return false;
	memcpy(head, bytes, sizeof(*head));
	least =
	    (uint64_t)head->stacks * STACK_MIN_BYTES + (uint64_t)head->samples * SAMPLE_MIN_BYTES;
	if (least > length - stored)
		return false;
	decoder->at = (const unsigned char *)bytes + stored;
	decoder->end = (const unsigned char *)bytes + length;
	decoder->stacks = head->stacks;
	decoder->stacks_left = head->stacks;
	decoder->samples_left = head->samples;
	return true;
}

static bool
get_delta(struct vmt_touch_decoder *decoder, uint64_t *previous)
{
	uint64_t coded;

	if (!vmt_varint_get(&decoder->at, decoder->end, &coded))
		return false;
	*previous += vmt_varint_unfold(coded);
	return true;
}

bool
vmt_touch_get_stack(struct vmt_touch_decoder *decoder, struct vmt_touch_stack *stack)
{
	uint64_t count;

	if (decoder->stacks_left == 0 ||
	    !vmt_varint_get_bounded(&decoder->at, decoder->end, VMT_STACK_MAX_FRAMES, &count) ||
	    !vmt_varint_get_byte(&decoder->at, decoder->end, &stack->end))
		return false;
	stack->count = (uint32_t)count;
	if (stack->end > VMT_TOUCH_STACK_UNKNOWN)
		stack->end = VMT_TOUCH_STACK_UNKNOWN; /* a reason of a later version */
	for (uint32_t i = 0; i < stack->count; i++) {
		if (!get_delta(decoder, &decoder->frame))
			return false;
		stack->frames[i] = decoder->frame;
	}
	decoder->stacks_left--;
	return true;
}

bool
vmt_touch_get_sample(struct vmt_touch_decoder *decoder, struct vmt_touch_sample *sample)
{
	uint64_t thread, stack;
	uint8_t kind;

	if (decoder->stacks_left != 0 || decoder->samples_left == 0 ||
	    !get_delta(decoder, &decoder->time) || !get_delta(decoder, &decoder->page) ||
	    decoder->page > MAX_PAGE ||
	    !vmt_varint_get_bounded(&decoder->at, decoder->end, UINT32_MAX, &thread) ||
	    !vmt_varint_get_byte(&decoder->at, decoder->end, &kind) ||
	    !vmt_varint_get_bounded(&decoder->at, decoder->end, UINT32_MAX, &stack) ||
	    stack >= decoder->stacks)
		return false;
	*sample = (struct vmt_touch_sample){.time = decoder->time,
					    .address = decoder->page << PAGE_SHIFT,
					    .thread = (uint32_t)thread,
					    .stack = (uint32_t)stack,
					    .page_shift = kind & SAMPLE_SHIFT_MASK,
					    .major = kind & SAMPLE_MAJOR,
					    .kernel = kind & SAMPLE_KERNEL};
	decoder->samples_left--;
	return true;
}
