/*
 * columns.h: codes the events of a chunk
 *
 * Three columns, one behind the other: times, addresses, and what was called. Apart they repeat
 * themselves: a loop of the program is one pattern in the calls however its times jitter, which a
 * general compressor then finds by itself, in less time. docs/trace-format.md gives the bytes.
 *
 *   times      in units that divide nearly all differences (a TSC advances in steps)
 *   addresses  differences
 *   calls      kind, length and stack, in one byte where they are what followed the two calls
 *              before them last time; fields left out are as in the last event of that kind
 *
 * What is left out refers to earlier events of the same payload: each chunk decodes alone.
 * Freestanding: no allocation, no I/O. Thread and signal safe on separate structs.
 *
 * An encoder never writes past its room: an event for which there is none is not begun. A decoder
 * never reads past the end and returns false on malformed bytes; bytes are untrusted.
 */
#ifndef VMT_COLUMNS_H
#define VMT_COLUMNS_H

#include "format/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the payload of `events` events, whatever they are. */
#define VMT_COLUMNS_ROOM(events) (32u + (size_t)(events)*VMT_COLUMNS_EVENT_MAX_BYTES)
#define VMT_COLUMNS_EVENT_MAX_BYTES 96u

#define VMT_COLUMNS_FOLLOWERS 256u

/* What an event is beside when and where. */
struct vmt_columns_call {
	uint64_t length;
	uint32_t stack;
	uint32_t kind; /* 0 = none yet */
};

/* Where the last event ended. The same on both sides, all zero at the start; small, so that a loop
 * over many events keeps it in registers. */
struct vmt_columns_last {
	uint64_t time;
	uint64_t address;
	uint32_t thread;
	uint32_t stack; /* the last one that was written out, of whatever kind */
	uint32_t mixed; /* of its call */
	uint32_t slot;	/* in followers, by the last two events */
};

/* The same on both sides, all zero at the start. */
struct vmt_columns_context {
	uint64_t length_of[VMT_EVENT_KINDS];
	uint32_t stack_of[VMT_EVENT_KINDS];
	struct vmt_columns_call followers[VMT_COLUMNS_FOLLOWERS];
};

/* What changes with each event that is written, and what a time needs. */
struct vmt_columns_pen {
	unsigned char *time_at; /* next bytes to write */
	unsigned char *address_at;
	unsigned char *call_at;
	uint32_t unit_shift;   /* time unit = its odd part << unit_shift */
	uint64_t unit_inverse; /* of the odd part, modulo 2^64 */
	uint64_t unit_limit;   /* of differences in units */
	struct vmt_columns_last last;
};

struct vmt_columns_encoder {
	unsigned char *payload;
	unsigned char *times; /* where the columns begin while they are written */
	unsigned char *addresses;
	unsigned char *calls;
	uint32_t events_left; /* room for so many */
	uint64_t unit;
	struct vmt_columns_pen pen;
	struct vmt_columns_context context;
};

/* How far a payload has been read. */
struct vmt_columns_place {
	const unsigned char *time_at; /* next bytes to read */
	const unsigned char *time_end;
	const unsigned char *address_at;
	const unsigned char *address_end;
	const unsigned char *call_at;
	const unsigned char *call_end;
	struct vmt_columns_last last;
};

struct vmt_columns_decoder {
	struct vmt_columns_place place;
	uint64_t unit;
	struct vmt_columns_context context;
};

/* time_unit: what most differences of time are multiples of; 1 where nothing is known. */
void vmt_columns_begin_encode(struct vmt_columns_encoder *encoder, void *payload, size_t room,
			      uint64_t time_unit);
/* False where there is no room left, or the kind is none that an event can have. */
bool vmt_columns_put(struct vmt_columns_encoder *encoder, const struct vmt_event *event);
/* The same for slots of a heap ring; how many of them were put, the first ones. */
uint32_t vmt_columns_put_heap(struct vmt_columns_encoder *encoder,
			      const struct vmt_heap_event *slots, uint32_t count);
/* Brings the columns together; the payload's bytes. The encoder is then spent. */
size_t vmt_columns_end_encode(struct vmt_columns_encoder *encoder);

/* False: malformed; so is then every event. */
bool vmt_columns_begin_decode(struct vmt_columns_decoder *decoder, const void *payload,
			      size_t length);
bool vmt_columns_get(struct vmt_columns_decoder *decoder, struct vmt_event *event);
/* The next `count` events, one each `stride` bytes from the first; how many there are before a
 * malformed one or the end. */
uint32_t vmt_columns_get_events(struct vmt_columns_decoder *decoder, struct vmt_event *first,
				size_t stride, uint32_t count);
/* Passes by the times of the next `count` events alone, and says the earliest: for a decoder that
 * is asked for nothing else. False: so many there are not. */
bool vmt_columns_pass_times(struct vmt_columns_decoder *decoder, uint32_t count,
			    uint64_t *earliest);
/* Whether all bytes were read. */
bool vmt_columns_is_done(const struct vmt_columns_decoder *decoder);

/* Whether an event can have this kind. */
static inline bool
vmt_columns_is_kind(uint8_t kind)
{
	return kind != 0 && kind < VMT_EVENT_KINDS;
}

#endif
