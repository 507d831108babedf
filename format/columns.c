#include "format/columns.h"

#include "base/assert.h"
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

/* As vmt_varint_fold, modulo 2^32. */
static inline uint32_t
fold_32(uint32_t delta)
{
	return (delta << 1) ^ (0 - (delta >> 31));
}

/* The multipliers are odd and spread low bits up, whence the slot is taken. */
static inline uint32_t
mix(const struct vmt_columns_call *call)
{
	return call->stack * UINT32_C(0x9e3779b1) ^ call->kind * UINT32_C(0x85ebca6b) ^
	       (uint32_t)call->length * UINT32_C(0xc2b2ae35);
}

static inline void
remember(struct vmt_columns_last *last, struct vmt_columns_context *context,
	 const struct vmt_columns_call *call)
{
	uint32_t mixed = mix(call);

	context->length_of[call->kind] = call->length;
	context->stack_of[call->kind] = call->stack;
	last->slot = mixed + last->mixed * UINT32_C(0x2545f491);
	last->slot /= UINT32_MAX / VMT_COLUMNS_FOLLOWERS + 1;
	vmt_assert(last->slot < VMT_COLUMNS_FOLLOWERS && vmt_columns_is_kind((uint8_t)call->kind));
	last->mixed = mixed;
}

void
vmt_columns_begin_encode(struct vmt_columns_encoder *encoder, void *payload, size_t room,
			 uint64_t time_unit)
{
	size_t events =
	    room < HEADER_MAX_BYTES ? 0 : (room - HEADER_MAX_BYTES) / VMT_COLUMNS_EVENT_MAX_BYTES;
	struct vmt_columns_pen *pen = &encoder->pen;
	uint64_t odd;

	memset(&encoder->context, 0, sizeof(encoder->context));
	memset(&pen->last, 0, sizeof(pen->last));
	encoder->payload = payload;
	encoder->times = encoder->payload + HEADER_MAX_BYTES;
	encoder->addresses = encoder->times + events * TIME_MAX_BYTES;
	encoder->calls = encoder->addresses + events * ADDRESS_MAX_BYTES;
	encoder->events_left = events > UINT32_MAX ? UINT32_MAX : (uint32_t)events;
	encoder->unit = time_unit ? time_unit : 1;
	pen->time_at = encoder->times;
	pen->address_at = encoder->addresses;
	pen->call_at = encoder->calls;
	pen->unit_limit = INT64_MAX / encoder->unit;
	pen->unit_shift = (uint32_t)__builtin_ctzll(encoder->unit);
	odd = encoder->unit >> pen->unit_shift;
	/* Newton's iteration doubles the right bits, of which x * x = 1 modulo 8 gives three. */
	pen->unit_inverse = odd;
	for (unsigned bits = 3; bits < 64; bits *= 2)
		pen->unit_inverse *= 2 - odd * pen->unit_inverse;
	vmt_assert(odd * pen->unit_inverse == 1);
	vmt_assert(room < HEADER_MAX_BYTES || encoder->calls <= encoder->payload + room);
}

/* A difference is a multiple of the unit exactly where the product with the inverse, rotated, is
 * no more than the limit; it is the quotient then (Hacker's Delight, 10-17). */
static inline void
put_time(struct vmt_columns_pen *pen, uint64_t time)
{
	uint64_t delta = time - pen->last.time;
	uint64_t product = delta * pen->unit_inverse;
	uint64_t units = product >> pen->unit_shift | product << (-pen->unit_shift & 63);

	pen->last.time = time;
	if (units <= pen->unit_limit) {
		pen->time_at = vmt_varint_put(pen->time_at, units + 1);
		return;
	}
	*pen->time_at++ = IN_TICKS;
	pen->time_at = vmt_varint_put(pen->time_at, vmt_varint_fold(delta));
}

/* ADDRESS_IN_16, or 0. */
static inline uint8_t
put_address(struct vmt_columns_pen *pen, uint64_t address)
{
	uint64_t delta = address - pen->last.address;
	bool in_16 = (delta & 15) == 0;

	delta = (uint64_t)((int64_t)delta >> (in_16 ? 4 : 0));
	pen->address_at = vmt_varint_put_any(pen->address_at, vmt_varint_fold(delta), true);
	pen->last.address = address;
	return in_16 ? ADDRESS_IN_16 : 0;
}

static inline bool
is_expected(const struct vmt_columns_pen *pen, const struct vmt_columns_context *context,
	    const struct vmt_columns_call *call, uint32_t thread)
{
	const struct vmt_columns_call *expected = &context->followers[pen->last.slot];

	return expected->stack == call->stack && expected->length == call->length &&
	       expected->kind == call->kind && pen->last.thread == thread;
}

/* Each column stays below the next one. */
__attribute__((unused)) static inline bool
is_in_place(const struct vmt_columns_encoder *encoder, const struct vmt_columns_pen *pen)
{
	return pen->time_at >= encoder->times && pen->time_at <= encoder->addresses &&
	       pen->address_at >= encoder->addresses && pen->address_at <= encoder->calls &&
	       pen->call_at >= encoder->calls;
}

/* A call that has no more to it than these; `bits` and what they stand for come behind. */
static inline void
put_call(struct vmt_columns_pen *pen, struct vmt_columns_context *context,
	 const struct vmt_columns_call *call, uint32_t thread, uint8_t in_16, uint8_t bits)
{
	uint32_t delta = call->stack - pen->last.stack;
	unsigned char *at = pen->call_at;

	bits |= call->length != context->length_of[call->kind] ? HAS_LENGTH : 0;
	bits |= call->stack != context->stack_of[call->kind] ? HAS_STACK : 0;
	bits |= thread != pen->last.thread ? HAS_THREAD : 0;
	at[0] = (uint8_t)(call->kind | in_16 | (bits != 0 ? PRESENCE_BYTE : 0));
	at[1] = bits;
	at += 1 + (bits != 0);
	at = vmt_varint_put_any(at, call->length, (bits & HAS_LENGTH) != 0);
	at = vmt_varint_put_any(at, fold_32(delta), (bits & HAS_STACK) != 0);
	if (bits & HAS_THREAD)
		at = vmt_varint_put(at, thread);
	pen->call_at = at;
	pen->last.stack = bits & HAS_STACK ? call->stack : pen->last.stack;
	pen->last.thread = thread;
	context->followers[pen->last.slot] = *call;
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
put_present(struct vmt_columns_pen *pen, const struct vmt_event *event, uint8_t bits)
{
	unsigned char *at = pen->call_at;

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
	pen->call_at = at;
}

/* Both kinds of slot: all but what only a map event has. */
__attribute__((always_inline)) static inline void
put_common(struct vmt_columns_pen *pen, struct vmt_columns_context *context, uint64_t time,
	   uint64_t address, const struct vmt_columns_call *call, uint32_t thread, uint8_t bits)
{
	uint8_t in_16;

	put_time(pen, time);
	in_16 = put_address(pen, address);
	if (bits == 0 && is_expected(pen, context, call, thread))
		*pen->call_at++ = AS_LAST_TIME | in_16;
	else
		put_call(pen, context, call, thread, in_16, bits);
	remember(&pen->last, context, call);
}

bool
vmt_columns_put(struct vmt_columns_encoder *encoder, const struct vmt_event *event)
{
	struct vmt_columns_call call = {event->length, event->stack, event->kind};
	uint8_t bits = presence(event);

	if (encoder->events_left == 0 || !vmt_columns_is_kind(event->kind))
		return false;
	encoder->events_left--;
	put_common(&encoder->pen, &encoder->context, event->time, event->address, &call,
		   event->thread, bits);
	put_present(&encoder->pen, event, bits);
	vmt_assert(is_in_place(encoder, &encoder->pen));
	return true;
}

/* The pen is a copy: nothing that is stored through a pointer can change it. */
uint32_t
vmt_columns_put_heap(struct vmt_columns_encoder *encoder, const struct vmt_heap_event *slots,
		     uint32_t count)
{
	struct vmt_columns_pen pen = encoder->pen;
	uint32_t done = 0;

	if (count > encoder->events_left)
		count = encoder->events_left;
	for (; done < count; done++) {
		const struct vmt_heap_event *slot = &slots[done];
		uint8_t kind = (uint8_t)(slot->address_kind >> VMT_ADDRESS_BITS);
		struct vmt_columns_call call = {slot->size_thread & VMT_ADDRESS_MASK, slot->stack,
						kind};

		if (!vmt_columns_is_kind(kind))
			break;
		put_common(&pen, &encoder->context, slot->time,
			   slot->address_kind & VMT_ADDRESS_MASK, &call,
			   (uint32_t)(slot->size_thread >> VMT_ADDRESS_BITS), 0);
	}
	vmt_assert(done <= encoder->events_left && is_in_place(encoder, &pen));
	encoder->events_left -= done;
	encoder->pen = pen;
	return done;
}

size_t
vmt_columns_end_encode(struct vmt_columns_encoder *encoder)
{
	size_t time_bytes = (size_t)(encoder->pen.time_at - encoder->times);
	size_t address_bytes = (size_t)(encoder->pen.address_at - encoder->addresses);
	size_t call_bytes = (size_t)(encoder->pen.call_at - encoder->calls);
	unsigned char *at = encoder->payload;

	at = vmt_varint_put(at, encoder->unit);
	at = vmt_varint_put(at, time_bytes);
	at = vmt_varint_put(at, address_bytes);
	vmt_assert(at <= encoder->times);
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
	decoder->place.time_at = at;
	decoder->place.time_end = decoder->place.address_at = at + time_bytes;
	decoder->place.address_end = decoder->place.call_at =
	    decoder->place.time_end + address_bytes;
	decoder->place.call_end = end;
	return true;
}

static inline bool
get_time(struct vmt_columns_place *place, uint64_t unit, uint64_t *time)
{
	uint64_t code, folded;

	if (!vmt_varint_get_wide(&place->time_at, place->time_end, &code))
		return false;
	if (__builtin_expect(code != IN_TICKS, 1)) {
		*time = place->last.time + (code - 1) * unit;
	} else {
		if (!vmt_varint_get_wide(&place->time_at, place->time_end, &folded))
			return false;
		*time = place->last.time + vmt_varint_unfold(folded);
	}
	vmt_assert(place->time_at <= place->time_end);
	place->last.time = *time;
	return true;
}

static inline bool
get_address(struct vmt_columns_place *place, bool in_16, uint64_t *address)
{
	uint64_t delta;

	if (!vmt_varint_get_wide(&place->address_at, place->address_end, &delta))
		return false;
	*address = place->last.address + (vmt_varint_unfold(delta) << (in_16 ? 4 : 0));
	vmt_assert(place->address_at <= place->address_end);
	place->last.address = *address;
	return true;
}

static bool
get_detail(const unsigned char **at, const unsigned char *end, struct vmt_event *event)
{
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

/* What only an event of the map has. Returns the byte behind, or NULL: malformed. */
__attribute__((noinline)) static const unsigned char *
get_arguments(const unsigned char *at, const unsigned char *end, struct vmt_event *event,
	      uint8_t bits)
{
	if ((bits & HAS_ARGUMENT_A) && !vmt_varint_get(&at, end, &event->argument_a))
		return NULL;
	if ((bits & HAS_ARGUMENT_B) && !vmt_varint_get(&at, end, &event->argument_b))
		return NULL;
	return !(bits & HAS_DETAIL) || get_detail(&at, end, event) ? at : NULL;
}

static inline bool
get_bounded_wide(const unsigned char **at, const unsigned char *end, uint32_t *value)
{
	uint64_t read;

	if (!vmt_varint_get_wide(at, end, &read) || read > UINT32_MAX)
		return false;
	*value = (uint32_t)read;
	return true;
}

static inline bool
get_present(struct vmt_columns_place *place, struct vmt_columns_call *call, struct vmt_event *event,
	    uint8_t bits)
{
	const unsigned char *end = place->call_end;
	uint32_t folded;

	if ((bits & HAS_LENGTH) && !vmt_varint_get_wide(&place->call_at, end, &call->length))
		return false;
	if (bits & HAS_STACK) {
		if (!get_bounded_wide(&place->call_at, end, &folded))
			return false;
		call->stack = place->last.stack + (uint32_t)vmt_varint_unfold(folded);
		place->last.stack = call->stack;
	}
	if ((bits & HAS_THREAD) && !get_bounded_wide(&place->call_at, end, &place->last.thread))
		return false;
	if (bits & (HAS_ARGUMENT_A | HAS_ARGUMENT_B | HAS_DETAIL))
		place->call_at = get_arguments(place->call_at, end, event, bits);
	return place->call_at != NULL;
}

/* A call that is written out; its kind is known. */
static inline bool
get_call(struct vmt_columns_place *place, struct vmt_columns_context *context,
	 struct vmt_columns_call *call, struct vmt_event *event, uint8_t first)
{
	uint8_t bits = 0;

	if ((first & PRESENCE_BYTE) &&
	    (!vmt_varint_get_byte(&place->call_at, place->call_end, &bits) ||
	     (bits & ~HAS_ALL) != 0))
		return false;
	call->length = context->length_of[call->kind];
	call->stack = context->stack_of[call->kind];
	if (!get_present(place, call, event, bits))
		return false;
	vmt_assert(place->call_at <= place->call_end);
	context->followers[place->last.slot] = *call;
	return true;
}

/* A call that is what followed last time; there must have been a last time. */
static inline bool
get_expected(const struct vmt_columns_place *place, const struct vmt_columns_context *context,
	     struct vmt_columns_call *call, uint8_t first)
{
	*call = context->followers[place->last.slot];
	return call->kind != 0 && !(first & PRESENCE_BYTE);
}

__attribute__((always_inline)) static inline bool
get(struct vmt_columns_place *place, struct vmt_columns_context *context, uint64_t unit,
    struct vmt_event *event)
{
	struct vmt_columns_call call;
	uint8_t first;

	*event = (struct vmt_event){0};
	if (!vmt_varint_get_byte(&place->call_at, place->call_end, &first) ||
	    !get_time(place, unit, &event->time) ||
	    !get_address(place, (first & ADDRESS_IN_16) != 0, &event->address))
		return false;
	call.kind = first & KIND_MASK;
	if (call.kind == AS_LAST_TIME ? !get_expected(place, context, &call, first)
				      : !get_call(place, context, &call, event, first))
		return false;
	event->length = call.length;
	event->stack = call.stack;
	event->kind = (uint8_t)call.kind;
	event->thread = place->last.thread;
	remember(&place->last, context, &call);
	return true;
}

/* The place is a copy: nothing that is stored through a pointer can change it. That of a malformed
 * event is forgotten, and the event is found malformed again. */
uint32_t
vmt_columns_get_events(struct vmt_columns_decoder *decoder, struct vmt_event *first, size_t stride,
		       uint32_t count)
{
	struct vmt_columns_place place = decoder->place;
	unsigned char *to = (unsigned char *)first;
	uint32_t done;

	for (done = 0; done < count; done++) {
		struct vmt_columns_place next = place;

		if (!get(&next, &decoder->context, decoder->unit,
			 (struct vmt_event *)(void *)(to + done * stride)))
			break;
		place = next;
	}
	decoder->place = place;
	return done;
}

bool
vmt_columns_get(struct vmt_columns_decoder *decoder, struct vmt_event *event)
{
	return vmt_columns_get_events(decoder, event, sizeof(*event), 1) == 1;
}

/* The next eight times, where each is a byte of units: none is before the one that it follows then.
 * One that is in ticks, or longer, or would pass the end of time is for get_time. */
static inline bool
pass_eight(struct vmt_columns_place *place, uint64_t unit, uint64_t *first)
{
	uint64_t word, zeros, pairs, units, last;

	if (place->time_end - place->time_at < 8)
		return false;
	word = vmt_varint_word(place->time_at);
	zeros = (word - UINT64_C(0x0101010101010101)) & UINT64_C(0x8080808080808080);
	if (((word & UINT64_C(0x8080808080808080)) | zeros) != 0)
		return false;
	pairs = (word & UINT64_C(0x00ff00ff00ff00ff)) + (word >> 8 & UINT64_C(0x00ff00ff00ff00ff));
	units = (pairs * UINT64_C(0x0001000100010001) >> 48) - 8;
	last = place->last.time;
	if (unit > UINT32_MAX || last + units * unit < last)
		return false;
	*first = last + ((word & 0xff) - 1) * unit;
	place->last.time = last + units * unit;
	place->time_at += 8;
	return true;
}

bool
vmt_columns_pass_times(struct vmt_columns_decoder *decoder, uint32_t count, uint64_t *earliest)
{
	struct vmt_columns_place place = decoder->place;
	uint64_t time;

	*earliest = UINT64_MAX;
	for (uint32_t i = 0; i < count;) {
		if (count - i >= 8 && pass_eight(&place, decoder->unit, &time))
			i += 8;
		else if (get_time(&place, decoder->unit, &time))
			i++;
		else
			return false;
		*earliest = time < *earliest ? time : *earliest;
	}
	decoder->place = place;
	return true;
}

bool
vmt_columns_is_done(const struct vmt_columns_decoder *decoder)
{
	return decoder->place.time_at == decoder->place.time_end &&
	       decoder->place.address_at == decoder->place.address_end &&
	       decoder->place.call_at == decoder->place.call_end;
}
