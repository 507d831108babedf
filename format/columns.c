#include "format/columns.h"

#include "format/varint.h"

#include <string.h>

/* First byte of a call: bits 0..5 kind, or AS_LAST_TIME; then: */
#define KIND_MASK 63u
#define AS_LAST_TIME 0u	   /* kind, length and stack as what followed last time: no more bytes */
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

/* A time of this code is followed by the folded difference in ticks; else code - 1 units. */
#define IN_TICKS 0u

/* Columns of one event at most, in bytes; the rest of VMT_COLUMNS_EVENT_MAX_BYTES is the call's. */
#define TIME_MAX_BYTES (1 + VMT_VARINT_MAX_BYTES)
#define ADDRESS_MAX_BYTES VMT_VARINT_MAX_BYTES
#define HEADER_MAX_BYTES (VMT_COLUMNS_ROOM(0))

_Static_assert(VMT_EVENT_KINDS == KIND_MASK + 1, "a kind has 6 bits");
_Static_assert(3 * VMT_VARINT_MAX_BYTES <= HEADER_MAX_BYTES, "three varints");

/* The multipliers are odd and spread low bits up, whence the slot is taken. */
static inline uint32_t
mix(const struct vmt_columns_call *call)
{
	return call->stack * UINT32_C(0x9e3779b1) ^ call->kind * UINT32_C(0x85ebca6b) ^
	       (uint32_t)call->length * UINT32_C(0xc2b2ae35);
}

static inline void
remember(struct vmt_columns_context *context, const struct vmt_columns_call *call)
{
	uint32_t mixed = mix(call);

	context->length_of[call->kind] = call->length;
	context->stack_of[call->kind] = call->stack;
	context->slot = mixed + context->mixed * UINT32_C(0x2545f491);
	context->slot /= UINT32_MAX / VMT_COLUMNS_FOLLOWERS + 1;
	context->mixed = mixed;
}

void
vmt_columns_begin_encode(struct vmt_columns_encoder *encoder, void *payload, size_t room,
			 uint64_t time_unit)
{
	size_t events =
	    room < HEADER_MAX_BYTES ? 0 : (room - HEADER_MAX_BYTES) / VMT_COLUMNS_EVENT_MAX_BYTES;
	uint64_t odd;

	memset(&encoder->context, 0, sizeof(encoder->context));
	encoder->payload = payload;
	encoder->times = encoder->payload + HEADER_MAX_BYTES;
	encoder->addresses = encoder->times + events * TIME_MAX_BYTES;
	encoder->calls = encoder->addresses + events * ADDRESS_MAX_BYTES;
	encoder->time_at = encoder->times;
	encoder->address_at = encoder->addresses;
	encoder->call_at = encoder->calls;
	encoder->events_left = events > UINT32_MAX ? UINT32_MAX : (uint32_t)events;
	encoder->unit = time_unit ? time_unit : 1;
	encoder->unit_limit = INT64_MAX / encoder->unit;
	encoder->unit_shift = (uint32_t)__builtin_ctzll(encoder->unit);
	odd = encoder->unit >> encoder->unit_shift;
	/* Newton's iteration doubles the right bits, of which x * x = 1 modulo 8 gives three. */
	encoder->unit_inverse = odd;
	for (unsigned bits = 3; bits < 64; bits *= 2)
		encoder->unit_inverse *= 2 - odd * encoder->unit_inverse;
}

/* A difference is a multiple of the unit exactly where the product with the inverse, rotated, is
 * no more than the limit; it is the quotient then (Hacker's Delight, 10-17). */
static inline void
put_time(struct vmt_columns_encoder *encoder, uint64_t time)
{
	uint64_t delta = time - encoder->context.time;
	uint64_t product = delta * encoder->unit_inverse;
	uint32_t shift = encoder->unit_shift;
	uint64_t units = shift ? product >> shift | product << (64 - shift) : product;

	encoder->context.time = time;
	if (units <= encoder->unit_limit) {
		encoder->time_at = vmt_varint_put(encoder->time_at, units + 1);
		return;
	}
	*encoder->time_at++ = IN_TICKS;
	encoder->time_at = vmt_varint_put(encoder->time_at, vmt_varint_fold(delta));
}

/* ADDRESS_IN_16, or 0. */
static inline uint8_t
put_address(struct vmt_columns_encoder *encoder, uint64_t address)
{
	uint64_t delta = address - encoder->context.address;
	uint8_t in_16 = (delta & 15) == 0 ? ADDRESS_IN_16 : 0;

	if (in_16)
		delta = (uint64_t)((int64_t)delta >> 4);
	encoder->address_at = vmt_varint_put(encoder->address_at, vmt_varint_fold(delta));
	encoder->context.address = address;
	return in_16;
}

static inline bool
is_expected(const struct vmt_columns_context *context, const struct vmt_columns_call *call,
	    uint32_t thread)
{
	const struct vmt_columns_call *expected = &context->followers[context->slot];

	return expected->stack == call->stack && expected->length == call->length &&
	       expected->kind == call->kind && context->thread == thread;
}

/* A call that has no more to it than these; `bits` and what they stand for come behind. */
static void
put_call(struct vmt_columns_encoder *encoder, const struct vmt_columns_call *call, uint32_t thread,
	 uint8_t in_16, uint8_t bits)
{
	struct vmt_columns_context *context = &encoder->context;
	unsigned char *at = encoder->call_at;

	if (call->length != context->length_of[call->kind])
		bits |= HAS_LENGTH;
	if (call->stack != context->stack_of[call->kind])
		bits |= HAS_STACK;
	if (thread != context->thread)
		bits |= HAS_THREAD;
	*at++ = (uint8_t)call->kind | in_16 | (bits ? PRESENCE_BYTE : 0);
	if (bits)
		*at++ = bits;
	if (bits & HAS_LENGTH)
		at = vmt_varint_put(at, call->length);
	if (bits & HAS_STACK)
		at = vmt_varint_put(at, call->stack);
	if (bits & HAS_THREAD)
		at = vmt_varint_put(at, thread);
	encoder->call_at = at;
	context->followers[context->slot] = *call;
	context->thread = thread;
}

static uint8_t
presence(const struct vmt_event *event)
{
	uint8_t bits = 0;

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
put_present(struct vmt_columns_encoder *encoder, const struct vmt_event *event, uint8_t bits)
{
	unsigned char *at = encoder->call_at;

	if (bits & HAS_ARGUMENT_A)
		at = vmt_varint_put(at, event->argument_a);
	if (bits & HAS_ARGUMENT_B)
		at = vmt_varint_put(at, event->argument_b);
	if (bits & HAS_DETAIL) {
		*at++ = event->protection;
		*at++ = event->marks;
		at = vmt_varint_put(at, event->advice);
		at = vmt_varint_put(at, event->flags);
		at = vmt_varint_put(at, vmt_varint_fold((uint64_t)(int64_t)event->error));
	}
	encoder->call_at = at;
}

/* Both kinds of slot: all but what only a map event has. */
static inline void
put_common(struct vmt_columns_encoder *encoder, uint64_t time, uint64_t address,
	   const struct vmt_columns_call *call, uint32_t thread, uint8_t bits)
{
	uint8_t in_16;

	encoder->events_left--;
	put_time(encoder, time);
	in_16 = put_address(encoder, address);
	if (bits == 0 && is_expected(&encoder->context, call, thread))
		*encoder->call_at++ = AS_LAST_TIME | in_16;
	else
		put_call(encoder, call, thread, in_16, bits);
	remember(&encoder->context, call);
}

bool
vmt_columns_put(struct vmt_columns_encoder *encoder, const struct vmt_event *event)
{
	struct vmt_columns_call call = {event->length, event->stack, event->kind};
	uint8_t bits = presence(event);

	if (encoder->events_left == 0 || !vmt_columns_is_kind(event->kind))
		return false;
	put_common(encoder, event->time, event->address, &call, event->thread, bits);
	put_present(encoder, event, bits);
	return true;
}

bool
vmt_columns_put_heap(struct vmt_columns_encoder *encoder, const struct vmt_heap_event *slot)
{
	uint8_t kind = (uint8_t)(slot->address_kind >> VMT_ADDRESS_BITS);
	struct vmt_columns_call call = {slot->size_thread & VMT_ADDRESS_MASK, slot->stack, kind};

	if (encoder->events_left == 0 || !vmt_columns_is_kind(kind))
		return false;
	put_common(encoder, slot->time, slot->address_kind & VMT_ADDRESS_MASK, &call,
		   (uint32_t)(slot->size_thread >> VMT_ADDRESS_BITS), 0);
	return true;
}

size_t
vmt_columns_end_encode(struct vmt_columns_encoder *encoder)
{
	size_t time_bytes = (size_t)(encoder->time_at - encoder->times);
	size_t address_bytes = (size_t)(encoder->address_at - encoder->addresses);
	size_t call_bytes = (size_t)(encoder->call_at - encoder->calls);
	unsigned char *at = encoder->payload;

	at = vmt_varint_put(at, encoder->unit);
	at = vmt_varint_put(at, time_bytes);
	at = vmt_varint_put(at, address_bytes);
	memmove(at, encoder->times, time_bytes);
	at += time_bytes;
	memmove(at, encoder->addresses, address_bytes);
	at += address_bytes;
	memmove(at, encoder->calls, call_bytes);
	return (size_t)(at + call_bytes - encoder->payload);
}

bool
vmt_columns_begin_decode(struct vmt_columns_decoder *decoder, const void *payload, size_t length)
{
	const unsigned char *at = payload;
	const unsigned char *end = at + length;
	uint64_t unit, time_bytes, address_bytes;

	memset(decoder, 0, sizeof(*decoder));
	if (!vmt_varint_get(&at, end, &unit) || unit == 0 ||
	    !vmt_varint_get(&at, end, &time_bytes) || !vmt_varint_get(&at, end, &address_bytes) ||
	    time_bytes > (size_t)(end - at) || address_bytes > (size_t)(end - at) - time_bytes)
		return false;
	decoder->unit = unit;
	decoder->time_at = at;
	decoder->time_end = decoder->address_at = at + time_bytes;
	decoder->address_end = decoder->call_at = decoder->time_end + address_bytes;
	decoder->call_end = end;
	return true;
}

static inline bool
get_time(struct vmt_columns_decoder *decoder, uint64_t *time)
{
	uint64_t code, folded;

	if (!vmt_varint_get(&decoder->time_at, decoder->time_end, &code))
		return false;
	if (code != IN_TICKS) {
		*time = decoder->context.time + (code - 1) * decoder->unit;
	} else {
		if (!vmt_varint_get(&decoder->time_at, decoder->time_end, &folded))
			return false;
		*time = decoder->context.time + vmt_varint_unfold(folded);
	}
	decoder->context.time = *time;
	return true;
}

static inline bool
get_address(struct vmt_columns_decoder *decoder, bool in_16, uint64_t *address)
{
	uint64_t delta;

	if (!vmt_varint_get(&decoder->address_at, decoder->address_end, &delta))
		return false;
	delta = vmt_varint_unfold(delta);
	*address = decoder->context.address + (in_16 ? delta << 4 : delta);
	decoder->context.address = *address;
	return true;
}

static bool
get_detail(struct vmt_columns_decoder *decoder, struct vmt_event *event)
{
	const unsigned char **at = &decoder->call_at;
	const unsigned char *end = decoder->call_end;
	uint64_t advice, flags, error;

	if (!vmt_varint_get_byte(at, end, &event->protection) ||
	    !vmt_varint_get_byte(at, end, &event->marks) ||
	    !vmt_varint_get_bounded(at, end, UINT16_MAX, &advice) ||
	    !vmt_varint_get_bounded(at, end, UINT32_MAX, &flags) ||
	    !vmt_varint_get_bounded(at, end, UINT16_MAX, &error))
		return false;
	event->advice = (uint16_t)advice;
	event->flags = (uint32_t)flags;
	event->error = (int16_t)vmt_varint_unfold(error);
	return true;
}

static bool
get_present(struct vmt_columns_decoder *decoder, struct vmt_event *event, uint8_t bits)
{
	const unsigned char **at = &decoder->call_at;
	const unsigned char *end = decoder->call_end;
	uint64_t stack = event->stack;
	uint64_t thread = event->thread;

	if ((bits & HAS_LENGTH) && !vmt_varint_get(at, end, &event->length))
		return false;
	if ((bits & HAS_STACK) && !vmt_varint_get_bounded(at, end, UINT32_MAX, &stack))
		return false;
	if ((bits & HAS_THREAD) && !vmt_varint_get_bounded(at, end, UINT32_MAX, &thread))
		return false;
	event->stack = (uint32_t)stack;
	event->thread = (uint32_t)thread;
	if ((bits & HAS_ARGUMENT_A) && !vmt_varint_get(at, end, &event->argument_a))
		return false;
	if ((bits & HAS_ARGUMENT_B) && !vmt_varint_get(at, end, &event->argument_b))
		return false;
	return !(bits & HAS_DETAIL) || get_detail(decoder, event);
}

/* A call that is written out; the event's kind is known. */
static bool
get_call(struct vmt_columns_decoder *decoder, struct vmt_event *event, uint8_t first)
{
	struct vmt_columns_context *context = &decoder->context;
	uint8_t bits = 0;

	if ((first & PRESENCE_BYTE) &&
	    (!vmt_varint_get_byte(&decoder->call_at, decoder->call_end, &bits) ||
	     (bits & ~HAS_ALL) != 0))
		return false;
	event->length = context->length_of[event->kind];
	event->stack = context->stack_of[event->kind];
	event->thread = context->thread;
	if (!get_present(decoder, event, bits))
		return false;
	context->followers[context->slot] =
	    (struct vmt_columns_call){event->length, event->stack, event->kind};
	context->thread = event->thread;
	return true;
}

/* A call that is what followed last time; there must have been a last time. */
static inline bool
get_expected(const struct vmt_columns_decoder *decoder, struct vmt_event *event, uint8_t first)
{
	const struct vmt_columns_context *context = &decoder->context;
	const struct vmt_columns_call *expected = &context->followers[context->slot];

	event->kind = (uint8_t)expected->kind;
	event->length = expected->length;
	event->stack = expected->stack;
	event->thread = context->thread;
	return expected->kind != 0 && !(first & PRESENCE_BYTE);
}

bool
vmt_columns_get(struct vmt_columns_decoder *decoder, struct vmt_event *event)
{
	struct vmt_columns_call call;
	uint8_t first;

	memset(event, 0, sizeof(*event));
	if (!vmt_varint_get_byte(&decoder->call_at, decoder->call_end, &first) ||
	    !get_time(decoder, &event->time) ||
	    !get_address(decoder, (first & ADDRESS_IN_16) != 0, &event->address))
		return false;
	event->kind = first & KIND_MASK;
	if (event->kind == AS_LAST_TIME ? !get_expected(decoder, event, first)
					: !get_call(decoder, event, first))
		return false;
	call = (struct vmt_columns_call){event->length, event->stack, event->kind};
	remember(&decoder->context, &call);
	return true;
}

bool
vmt_columns_is_done(const struct vmt_columns_decoder *decoder)
{
	return decoder->time_at == decoder->time_end &&
	       decoder->address_at == decoder->address_end && decoder->call_at == decoder->call_end;
}
