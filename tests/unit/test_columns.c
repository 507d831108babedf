#include "format/columns.h"

#include "format/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t random_state = 1;

static uint64_t
next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Mostly small, sometimes an extreme: what varints get wrong. */
static uint64_t
next_value(void)
{
	static const uint64_t extremes[] = {0,	       1, 127, 128, INT64_MAX, UINT64_C(1) << 63,
					    UINT64_MAX};
	uint64_t value = next_random();

	if (value % 4 == 0)
		return extremes[value / 4 % 7];
	return value >> (value % 61);
}

static void
random_event(struct vmt_event *event)
{
	memset(event, 0, sizeof(*event));
	event->kind = (uint8_t)(1 + next_random() % (VMT_EVENT_KINDS - 1));
	event->time = next_value();
	event->address = next_value();
	event->length = next_random() % 2 ? 4096 : next_value();
	event->stack = next_random() % 2 ? 77 : (uint32_t)next_value();
	event->thread = next_random() % 2 ? 1 : (uint32_t)next_value();
	if (next_random() % 2 == 0)
		return;
	event->argument_a = next_value();
	event->argument_b = next_value();
	event->flags = (uint32_t)next_value();
	event->error = (int16_t)next_value();
	event->advice = (uint16_t)next_value();
	event->protection = (uint8_t)next_value();
	event->marks = (uint8_t)next_value();
}

#define EVENTS 5000u

static struct vmt_event events[EVENTS];
static unsigned char payload[VMT_COLUMNS_ROOM(EVENTS)];
static struct vmt_columns_encoder encoder;
static struct vmt_columns_decoder decoder;

static size_t
encode(unsigned count, uint64_t time_unit)
{
	vmt_columns_begin_encode(&encoder, payload, VMT_COLUMNS_ROOM(count), time_unit);
	for (unsigned i = 0; i < count; i++)
		assert_true(vmt_columns_put(&encoder, &events[i]));
	return vmt_columns_end_encode(&encoder);
}

static void
expect_events(unsigned count, size_t length)
{
	struct vmt_event event;

	assert_true(vmt_columns_begin_decode(&decoder, payload, length));
	for (unsigned i = 0; i < count; i++) {
		assert_false(vmt_columns_is_done(&decoder));
		assert_true(vmt_columns_get(&decoder, &event));
		assert_memory_equal(&event, &events[i], sizeof(event));
	}
	assert_true(vmt_columns_is_done(&decoder));
	assert_false(vmt_columns_get(&decoder, &event));
}

static void
test_events_come_back(void **state)
{
	static const uint64_t units[] = {0, 1, 13, 24, 26, UINT64_C(1) << 63, UINT64_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		for (unsigned k = 0; k < EVENTS; k++)
			random_event(&events[k]);
		expect_events(EVENTS, encode(EVENTS, units[i]));
	}
}

/* A loop, on a clock that advances in steps, with another step now and then. */
static void
test_loops_come_back(void **state)
{
	uint64_t time = UINT64_C(1) << 45;

	(void)state;
	for (unsigned i = 0; i < EVENTS; i++) {
		time += i % 100 == 99 ? 7 : 26 * (next_random() % 20);
		events[i] = (struct vmt_event){.time = time,
					       .address = 0x1000 + i / 2 % 10 * 64,
					       .kind = i % 2 ? VMT_EVENT_FREE : VMT_EVENT_MALLOC,
					       .length = i % 2 ? 0 : 40 + i / 2 % 10,
					       .stack = i % 2 ? 0 : 7 + i / 2 % 5,
					       .thread = i / 1000};
	}
	expect_events(EVENTS, encode(EVENTS, 26));
	/* Mostly one byte in each column; written out, the calls alone would take half as much
	 * more. */
	assert_in_range(encode(EVENTS, 26), 3 * EVENTS, 3 * EVENTS + EVENTS / 2);
}

/* Put together as one by one; what is no event ends what is put. */
static void
test_heap_slots_are_events(void **state)
{
	static struct vmt_columns_encoder other;
	static unsigned char other_payload[sizeof(payload)];
	static struct vmt_heap_event slots[EVENTS + 1];
	size_t length;

	(void)state;
	for (unsigned i = 0; i < EVENTS; i++) {
		random_event(&events[i]);
		slots[i] = (struct vmt_heap_event){
		    .stack = events[i].stack,
		    .time = events[i].time,
		    .address_kind = vmt_event_pack_address(events[i].address, events[i].kind),
		    .size_thread = vmt_event_pack_size(events[i].length, events[i].thread)};
		vmt_event_from_heap(&events[i], &slots[i]);
	}
	vmt_columns_begin_encode(&other, other_payload, sizeof(other_payload), 2);
	assert_int_equal(vmt_columns_put_heap(&other, slots, 1), 1);
	assert_int_equal(vmt_columns_put_heap(&other, slots + 1, 0), 0);
	assert_int_equal(vmt_columns_put_heap(&other, slots + 1, EVENTS - 9), EVENTS - 9);
	slots[EVENTS] = slots[EVENTS - 4];
	slots[EVENTS - 4].address_kind = 0;
	assert_int_equal(vmt_columns_put_heap(&other, slots + EVENTS - 8, 8), 4);
	slots[EVENTS - 4] = slots[EVENTS];
	assert_int_equal(vmt_columns_put_heap(&other, slots + EVENTS - 4, 5), 4);
	length = encode(EVENTS, 2);
	assert_int_equal(vmt_columns_end_encode(&other), length);
	assert_memory_equal(payload, other_payload, length);
}

/* The bytes that docs/trace-format.md gives as its example. */
static void
test_documented_bytes(void **state)
{
	static const unsigned char expected[] = {
	    0x0a, 0x07, 0x08,				    /* unit 10, columns of 7 and 8 bytes */
	    0x65, 0x06, 0x04, 0x03, 0x00, 0x02, 0x02,	    /* times */
	    0x80, 0x80, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, /* addresses */
	    0xc1, 0x07, 0x40, 0x0a, 0x2a,		    /* malloc */
	    0x50, 0x41, 0x50,				    /* free, malloc, free */
	    0x40, 0x40,					    /* as last time, twice */
	};

	(void)state;
	events[0] = (struct vmt_event){.kind = VMT_EVENT_MALLOC,
				       .time = 1000,
				       .address = 0x100000,
				       .length = 64,
				       .stack = 5,
				       .thread = 42};
	events[1] = (struct vmt_event){
	    .kind = VMT_EVENT_FREE, .time = 1050, .address = 0x100000, .thread = 42};
	for (unsigned i = 2; i < 6; i++)
		events[i] = events[i % 2];
	events[2].time = 1080;
	events[3].time = 1100;
	events[4].time = 1101;
	events[5].time = 1111;
	expect_events(6, encode(6, 10));
	assert_int_equal(encode(6, 10), sizeof(expected));
	assert_memory_equal(payload, expected, sizeof(expected));
}

/* A program that mallocs and frees a few sizes from a few places, at random. */
static void
test_typical_events_are_small(void **state)
{
	struct vmt_event event = {.thread = 4711, .time = UINT64_C(1) << 45};
	uint64_t base = UINT64_C(0x555555560000);

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t draw = next_random();

		event.kind = i % 2 ? VMT_EVENT_FREE : VMT_EVENT_MALLOC;
		event.time += 200 + draw % 3000;
		event.address = base + (draw >> 20) % 8192 * 16;
		event.length = i % 2 ? 0 : 16 << (draw >> 40) % 6;
		event.stack = i % 2 ? 0 : 100 + 20 * (uint32_t)((draw >> 50) % 8);
		events[i] = event;
	}
	assert_in_range(encode(2000, 1), 2000 * 3, 2000 * 7);
}

static void
test_no_room_changes_nothing(void **state)
{
	struct vmt_event event = {.kind = VMT_EVENT_KINDS};

	(void)state;
	vmt_columns_begin_encode(&encoder, payload, VMT_COLUMNS_ROOM(1), 1);
	assert_false(vmt_columns_put(&encoder, &event)); /* not a kind */
	event.kind = 0;
	assert_false(vmt_columns_put(&encoder, &event));
	event.kind = VMT_EVENT_MMAP;
	for (size_t room = 0; room < VMT_COLUMNS_ROOM(1); room++) {
		vmt_columns_begin_encode(&encoder, payload, room, 1);
		assert_false(vmt_columns_put(&encoder, &event));
	}
	vmt_columns_begin_encode(&encoder, payload, VMT_COLUMNS_ROOM(1), 1);
	assert_true(vmt_columns_put(&encoder, &event));
	assert_false(vmt_columns_put(&encoder, &event));
	events[0] = event;
	expect_events(1, vmt_columns_end_encode(&encoder));
}

static void
make_largest(struct vmt_event *event, unsigned i)
{
	memset(event, 0, sizeof(*event)); /* padding, too: events are compared as bytes */
	event->argument_a = event->argument_b = UINT64_MAX;
	event->flags = UINT32_MAX;
	event->advice = UINT16_MAX;
	event->protection = event->marks = UINT8_MAX;
	event->kind = (uint8_t)(VMT_EVENT_KINDS - 1 - i % 2);
	event->time = (uint64_t)(i + 1) % 2 << 63;
	event->address = (uint64_t)(i + 1) % 2 << 63 | (i & 1);
	event->length = UINT64_MAX - i;
	event->stack = UINT32_MAX - i;
	event->thread = UINT32_MAX - i;
	event->error = INT16_MIN;
}

/* The largest events keep within their room. */
static void
test_largest_events(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		make_largest(&events[i], i);
	memset(payload + VMT_COLUMNS_ROOM(100), 0x5a, 64);
	expect_events(100, encode(100, 3));
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(payload[VMT_COLUMNS_ROOM(100) + i], 0x5a);
}

/* Decodes what it can, from a heap block of the exact size (for ASan). */
static void
decode_all(const unsigned char *bytes, size_t length)
{
	unsigned char *copy = malloc(length + 1);
	struct vmt_event event;

	memcpy(copy, bytes, length);
	copy = realloc(copy, length == 0 ? 1 : length);
	if (vmt_columns_begin_decode(&decoder, copy, length)) {
		while (vmt_columns_get(&decoder, &event))
			assert_true(vmt_columns_is_kind(event.kind));
	} else {
		assert_false(vmt_columns_get(&decoder, &event));
	}
	free(copy);
}

static void
expect_malformed(const unsigned char *bytes, size_t length)
{
	struct vmt_event event;

	if (vmt_columns_begin_decode(&decoder, bytes, length))
		assert_false(vmt_columns_get(&decoder, &event));
}

static void
test_malformed_bytes(void **state)
{
	static unsigned char bytes[600];
	static const unsigned char no_unit[] = {0x00, 0x01, 0x01, 0x02, 0x02, 0x01};
	static const unsigned char long_column[] = {0x01, 0x04, 0x01, 0x02, 0x02, 0x01};
	static const unsigned char long_sum[] = {0x01, 0x01, 0x03, 0x02, 0x02, 0x01};
	static const unsigned char reserved_bits[] = {0x01, 0x01, 0x01, 0x02, 0x02, 0x81, 0x40};
	static const unsigned char never_seen[] = {0x01, 0x01, 0x01, 0x02, 0x02, 0x40};
	static const unsigned char endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
						0x80, 0x80, 0x02, 0x00, 0x00, 0x00};

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t length = next_random() % sizeof(bytes);

		for (size_t i = 0; i < length; i++)
			bytes[i] = (unsigned char)(round % 3 ? next_random() : next_value());
		decode_all(bytes, length);
	}
	for (unsigned i = 0; i < 20; i++)
		random_event(&events[i]);
	for (size_t length = encode(20, 1); length != 0; length--) {
		decode_all(payload, length - 1);
		payload[next_random() % length] = (unsigned char)next_random();
		decode_all(payload, length);
	}
	expect_malformed(no_unit, sizeof(no_unit));
	expect_malformed(long_column, sizeof(long_column));
	expect_malformed(long_sum, sizeof(long_sum));
	expect_malformed(reserved_bits, sizeof(reserved_bits));
	expect_malformed(never_seen, sizeof(never_seen));
	expect_malformed(endless, sizeof(endless));
}

/* Every cut of an event is refused, none is taken for a shorter one. */
static void
test_cut_events(void **state)
{
	size_t length;
	struct vmt_event event;

	(void)state;
	make_largest(&events[0], 0);
	length = encode(1, 1);
	for (size_t cut = 0; cut < length; cut++)
		expect_malformed(payload, cut);
	assert_true(vmt_columns_begin_decode(&decoder, payload, length));
	assert_true(vmt_columns_get(&decoder, &event));
}

/* The same events as one by one, in steps of any size, each in a place of its own. */
static void
test_many_at_a_time(void **state)
{
	struct spaced {
		uint64_t before;
		struct vmt_event event;
		uint64_t behind;
	};
	static struct spaced spaced[EVENTS];
	uint32_t done = 0;

	(void)state;
	for (unsigned k = 0; k < EVENTS; k++)
		random_event(&events[k]);
	assert_true(vmt_columns_begin_decode(&decoder, payload, encode(EVENTS, 13)));
	for (uint32_t step = 0; done < EVENTS; step = step * 2 + 1) {
		uint32_t count = step < EVENTS - done ? step : EVENTS - done;

		assert_int_equal(
		    vmt_columns_get_events(&decoder, &spaced[done].event, sizeof(spaced[0]), count),
		    count);
		done += count;
	}
	assert_true(vmt_columns_is_done(&decoder));
	for (unsigned k = 0; k < EVENTS; k++) {
		assert_memory_equal(&spaced[k].event, &events[k], sizeof(events[k]));
		assert_int_equal(spaced[k].before | spaced[k].behind, 0);
	}
	/* Those behind the last are none, and those before it are there. */
	assert_true(vmt_columns_begin_decode(&decoder, payload, encode(10, 13)));
	assert_int_equal(vmt_columns_get_events(&decoder, &spaced[0].event, sizeof(spaced[0]), 11),
			 10);
	assert_true(vmt_columns_is_done(&decoder));
}

static void
test_times_alone(void **state)
{
	size_t length;
	uint64_t earliest;

	(void)state;
	for (unsigned k = 0; k < EVENTS; k++)
		random_event(&events[k]);
	length = encode(EVENTS, 13);
	assert_true(vmt_columns_begin_decode(&decoder, payload, length));
	for (unsigned from = 0; from < EVENTS; from += EVENTS / 5) {
		uint64_t expected = UINT64_MAX;

		for (unsigned k = from; k < from + EVENTS / 5; k++)
			expected = events[k].time < expected ? events[k].time : expected;
		assert_true(vmt_columns_pass_times(&decoder, EVENTS / 5, &earliest));
		assert_int_equal(earliest, expected);
	}
	assert_false(vmt_columns_pass_times(&decoder, 1, &earliest));
}

/* Times that mostly follow each other closely, as those of a program do: also across the end of
 * time, with units that overflow, and in parts of any length. */
static void
test_close_times_alone(void **state)
{
	static const uint64_t units[] = {1, 30, UINT64_C(1) << 40, UINT64_C(1) << 56};

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		uint64_t unit = units[round % 4];
		uint64_t time =
		    round % 3 ? next_random() >> 20 : UINT64_MAX - next_random() % 90000;
		uint64_t earliest;

		for (unsigned k = 0; k < EVENTS; k++) {
			time += next_random() % (k % 500 ? 100 : 300) * unit;
			time += next_random() % 400 ? 0 : next_random() % 9 - 4;
			random_event(&events[k]);
			events[k].time = time;
		}
		assert_true(vmt_columns_begin_decode(&decoder, payload, encode(EVENTS, unit)));
		for (unsigned from = 0, part; from < EVENTS; from += part) {
			uint64_t expected = UINT64_MAX;

			part = 1 + (unsigned)next_random() % 200;
			part = part < EVENTS - from ? part : EVENTS - from;
			for (unsigned k = from; k < from + part; k++)
				expected = events[k].time < expected ? events[k].time : expected;
			assert_true(vmt_columns_pass_times(&decoder, part, &earliest));
			assert_int_equal(earliest, expected);
		}
		assert_false(vmt_columns_pass_times(&decoder, 1, &earliest));
	}
}

/* Both readers of a number agree on any bytes, and on where it ends. */
static void
test_wide_numbers(void **state)
{
	unsigned char bytes[24];

	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		unsigned more = (unsigned)(next_random() % 12);
		size_t length = next_random() % (sizeof(bytes) + 1);
		const unsigned char *at = bytes;
		const unsigned char *wide_at = bytes;
		uint64_t value = 0;
		uint64_t wide = 0;
		bool is_one;

		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)(next_random() % 128 | (i < more ? 128 : 0));
		is_one = vmt_varint_get(&at, bytes + length, &value);
		assert_int_equal(vmt_varint_get_wide(&wide_at, bytes + length, &wide), is_one);
		assert_int_equal(wide, value);
		if (is_one)
			assert_ptr_equal(wide_at, at);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_events_come_back),
	    cmocka_unit_test(test_loops_come_back),
	    cmocka_unit_test(test_heap_slots_are_events),
	    cmocka_unit_test(test_documented_bytes),
	    cmocka_unit_test(test_typical_events_are_small),
	    cmocka_unit_test(test_no_room_changes_nothing),
	    cmocka_unit_test(test_largest_events),
	    cmocka_unit_test(test_malformed_bytes),
	    cmocka_unit_test(test_cut_events),
	    cmocka_unit_test(test_many_at_a_time),
	    cmocka_unit_test(test_times_alone),
	    cmocka_unit_test(test_close_times_alone),
	    cmocka_unit_test(test_wide_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
