#include "format/codec.h"

#include <string.h>

/* First byte of an event: bits 0..5 kind, then: */
#define KIND_MASK 63u
#define ADDRESS_IN_16 64u  /* the address delta is in units of 16 bytes */
#define PRESENCE_BYTE 128u /* else: all presence bits are clear */

/* Presence bits. A field whose bit is clear has the value that the comment gives. */
#define HAS_LENGTH 1u	  /* else: as in the last event of this kind */
#define HAS_STACK 2u	  /* else: as in the last event of this kind */
#define HAS_THREAD 4u	  /* else: as in the last event */
#define HAS_ARGUMENT_A 8u /* else: 0 */
#define HAS_ARGUMENT_B 16u
#define HAS_DETAIL 32u /* protection, marks, advice, flags, error; else: 0 */
#define HAS_ALL 63u

_Static_assert(VMT_EVENT_KINDS == KIND_MASK + 1, "a kind has 6 bits");

static uint64_t
zigzag(uint64_t delta)
{
	return (delta << 1) ^ (0 - (delta >> 63));
}

static uint64_t
unzigzag(uint64_t value)
{
	return (value >> 1) ^ (0 - (value & 1));
}

/* The caller has made sure of 10 bytes of room. */
static void
put_varint(struct vmt_encoder *encoder, uint64_t value)
{
	while (value >= 0x80) {
		*encoder->at++ = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	*encoder->at++ = (unsigned char)value;
}

static void
put_delta(struct vmt_encoder *encoder, uint64_t value, uint64_t previous)
{
	put_varint(encoder, zigzag(value - previous));
}

static bool
get_byte(struct vmt_decoder *decoder, uint8_t *byte)
{
	if (decoder->at >= decoder->end)
		return false;
	*byte = *decoder->at++;
	return true;
}

/* At most 10 bytes and 64 bits; a longer form of a value than needed is accepted. */
static bool
get_varint(struct vmt_decoder *decoder, uint64_t *value)
{
	uint64_t result = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (!get_byte(decoder, &byte))
			return false;
		if (shift == 63 && byte > 1)
			return false;
		result |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value = result;
			return true;
		}
	}
	return false;
}

static bool
get_bounded(struct vmt_decoder *decoder, uint64_t limit, uint64_t *value)
{
	return get_varint(decoder, value) && *value <= limit;
}

static bool
get_delta(struct vmt_decoder *decoder, uint64_t previous, uint64_t *value)
{
	uint64_t coded;

	if (!get_varint(decoder, &coded))
		return false;
	*value = previous + unzigzag(coded);
	return true;
}

void
vmt_codec_begin_encode(struct vmt_encoder *encoder, void *bytes, size_t length)
{
	memset(encoder, 0, sizeof(*encoder));
	encoder->at = bytes;
	encoder->end = encoder->at + length;
}

void
vmt_codec_begin_decode(struct vmt_decoder *decoder, const void *bytes, size_t length)
{
	memset(decoder, 0, sizeof(*decoder));
	decoder->at = bytes;
	decoder->end = decoder->at + length;
}

static size_t
room(const struct vmt_encoder *encoder)
{
	return (size_t)(encoder->end - encoder->at);
}

static uint8_t
presence(const struct vmt_event *event, const struct vmt_codec_context *context)
{
	uint8_t bits = 0;

	if (event->length != context->length_of[event->kind])
		bits |= HAS_LENGTH;
	if (event->stack != context->stack_of[event->kind])
		bits |= HAS_STACK;
	if (event->thread != context->thread)
		bits |= HAS_THREAD;
	if (event->argument_a != 0)
		bits |= HAS_ARGUMENT_A;
	if (event->argument_b != 0)
		bits |= HAS_ARGUMENT_B;
	if (event->protection != 0 || event->marks != 0 || event->advice != 0 ||
	    event->flags != 0 || event->error != 0)
		bits |= HAS_DETAIL;
	return bits;
}

static void
remember(struct vmt_codec_context *context, const struct vmt_event *event)
{
	context->time = event->time;
	context->address = event->address;
	context->thread = event->thread;
	context->length_of[event->kind] = event->length;
	context->stack_of[event->kind] = event->stack;
}

static void
put_detail(struct vmt_encoder *encoder, const struct vmt_event *event)
{
	*encoder->at++ = event->protection;
	*encoder->at++ = event->marks;
	put_varint(encoder, event->advice);
	put_varint(encoder, event->flags);
	put_varint(encoder, zigzag((uint64_t)(int64_t)event->error));
}

static void
put_present(struct vmt_encoder *encoder, const struct vmt_event *event, uint8_t bits)
{
	if (bits & HAS_LENGTH)
		put_varint(encoder, event->length);
	if (bits & HAS_STACK)
		put_varint(encoder, event->stack);
	if (bits & HAS_THREAD)
		put_varint(encoder, event->thread);
	if (bits & HAS_ARGUMENT_A)
		put_varint(encoder, event->argument_a);
	if (bits & HAS_ARGUMENT_B)
		put_varint(encoder, event->argument_b);
	if (bits & HAS_DETAIL)
		put_detail(encoder, event);
}

bool
vmt_codec_put_event(struct vmt_encoder *encoder, const struct vmt_event *event)
{
	struct vmt_codec_context *context = &encoder->context;
	uint64_t delta = zigzag(event->address - context->address);
	uint8_t first = event->kind;
	uint8_t bits;

	if (room(encoder) < VMT_CODEC_EVENT_MAX_BYTES || event->kind >= VMT_EVENT_KINDS)
		return false;
	bits = presence(event, context);
	if (bits != 0)
		first |= PRESENCE_BYTE;
	if (((event->address - context->address) & 15) == 0) {
		first |= ADDRESS_IN_16;
		delta = zigzag((uint64_t)((int64_t)(event->address - context->address) >> 4));
	}
	*encoder->at++ = first;
	if (bits != 0)
		*encoder->at++ = bits;
	put_delta(encoder, event->time, context->time);
	put_varint(encoder, delta);
	put_present(encoder, event, bits);
	remember(context, event);
	return true;
}

static bool
get_detail(struct vmt_decoder *decoder, struct vmt_event *event)
{
	uint64_t advice, flags, error;

	if (!get_byte(decoder, &event->protection) || !get_byte(decoder, &event->marks) ||
	    !get_bounded(decoder, UINT16_MAX, &advice) ||
	    !get_bounded(decoder, UINT32_MAX, &flags) || !get_bounded(decoder, UINT16_MAX, &error))
		return false;
	event->advice = (uint16_t)advice;
	event->flags = (uint32_t)flags;
	event->error = (int16_t)unzigzag(error);
	return true;
}

static bool
get_present(struct vmt_decoder *decoder, struct vmt_event *event, uint8_t bits)
{
	uint64_t stack = event->stack;
	uint64_t thread = event->thread;

	if ((bits & HAS_LENGTH) && !get_varint(decoder, &event->length))
		return false;
	if ((bits & HAS_STACK) && !get_bounded(decoder, UINT32_MAX, &stack))
		return false;
	if ((bits & HAS_THREAD) && !get_bounded(decoder, UINT32_MAX, &thread))
		return false;
	event->stack = (uint32_t)stack;
	event->thread = (uint32_t)thread;
	if ((bits & HAS_ARGUMENT_A) && !get_varint(decoder, &event->argument_a))
		return false;
	if ((bits & HAS_ARGUMENT_B) && !get_varint(decoder, &event->argument_b))
		return false;
	return !(bits & HAS_DETAIL) || get_detail(decoder, event);
}

bool
vmt_codec_get_event(struct vmt_decoder *decoder, struct vmt_event *event)
{
	struct vmt_codec_context *context = &decoder->context;
	uint8_t first;
	uint8_t bits = 0;
	uint64_t delta;

	memset(event, 0, sizeof(*event));
	if (!get_byte(decoder, &first))
		return false;
	if ((first & PRESENCE_BYTE) && (!get_byte(decoder, &bits) || (bits & ~HAS_ALL) != 0))
		return false;
	event->kind = first & KIND_MASK;
	event->length = context->length_of[event->kind];
	event->stack = context->stack_of[event->kind];
	event->thread = context->thread;
	if (!get_delta(decoder, context->time, &event->time) || !get_varint(decoder, &delta))
		return false;
	delta = unzigzag(delta);
	event->address = context->address + ((first & ADDRESS_IN_16) ? delta << 4 : delta);
	if (!get_present(decoder, event, bits))
		return false;
	remember(context, event);
	return true;
}

/* The next delta counts from the mapping's start: the first run often begins there. */
bool
vmt_codec_put_mapping(struct vmt_encoder *encoder, const struct vmt_mapping *mapping, uint32_t runs)
{
	if (room(encoder) < (size_t)VMT_CODEC_MAPPING_MAX_BYTES + mapping->path_bytes ||
	    mapping->end < mapping->start)
		return false;
	put_delta(encoder, mapping->start, encoder->context.address);
	put_varint(encoder, mapping->end - mapping->start);
	put_varint(encoder, mapping->file_offset);
	put_varint(encoder, mapping->inode);
	put_varint(encoder, mapping->device);
	*encoder->at++ = mapping->protection;
	*encoder->at++ = mapping->shared;
	put_varint(encoder, runs);
	put_varint(encoder, mapping->path_bytes);
	if (mapping->path_bytes != 0)
		memcpy(encoder->at, mapping->path, mapping->path_bytes);
	encoder->at += mapping->path_bytes;
	encoder->context.address = mapping->start;
	return true;
}

bool
vmt_codec_get_mapping(struct vmt_decoder *decoder, struct vmt_mapping *mapping, uint32_t *runs)
{
	uint64_t length, device, run_count, path_bytes;

	memset(mapping, 0, sizeof(*mapping));
	if (!get_delta(decoder, decoder->context.address, &mapping->start) ||
	    !get_bounded(decoder, UINT64_MAX - mapping->start, &length) ||
	    !get_varint(decoder, &mapping->file_offset) || !get_varint(decoder, &mapping->inode) ||
	    !get_bounded(decoder, UINT32_MAX, &device) ||
	    !get_byte(decoder, &mapping->protection) || !get_byte(decoder, &mapping->shared) ||
	    mapping->shared > 1 || !get_bounded(decoder, UINT32_MAX, &run_count) ||
	    !get_bounded(decoder, UINT16_MAX, &path_bytes) ||
	    path_bytes > (size_t)(decoder->end - decoder->at))
		return false;
	mapping->end = mapping->start + length;
	mapping->device = (uint32_t)device;
	mapping->path_bytes = (uint16_t)path_bytes;
	mapping->path = (const char *)decoder->at;
	decoder->at += path_bytes;
	*runs = (uint32_t)run_count;
	decoder->context.address = mapping->start;
	return true;
}

bool
vmt_codec_put_run(struct vmt_encoder *encoder, const struct vmt_run *run)
{
	if (room(encoder) < VMT_CODEC_RUN_MAX_BYTES)
		return false;
	put_delta(encoder, run->start, encoder->context.address);
	put_varint(encoder, run->bytes);
	put_varint(encoder, run->kind);
	encoder->context.address = run->start + run->bytes;
	return true;
}

bool
vmt_codec_get_run(struct vmt_decoder *decoder, struct vmt_run *run)
{
	uint64_t kind;

	memset(run, 0, sizeof(*run));
	if (!get_delta(decoder, decoder->context.address, &run->start) ||
	    !get_bounded(decoder, UINT64_MAX - run->start, &run->bytes) ||
	    !get_bounded(decoder, UINT32_MAX, &kind))
		return false;
	run->kind = (uint32_t)kind;
	decoder->context.address = run->start + run->bytes;
	return true;
}
