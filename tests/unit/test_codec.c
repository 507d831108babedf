#include "format/codec.h"

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
	event->kind = (uint8_t)(next_random() % VMT_EVENT_KINDS);
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

static void
test_events_come_back(void **state)
{
	static struct vmt_event events[EVENTS];
	static unsigned char bytes[EVENTS * VMT_CODEC_EVENT_MAX_BYTES];
	struct vmt_encoder encoder;
	struct vmt_decoder decoder;
	struct vmt_event event;

	(void)state;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	for (unsigned i = 0; i < EVENTS; i++) {
		random_event(&events[i]);
		assert_true(vmt_codec_put_event(&encoder, &events[i]));
	}
	vmt_codec_begin_decode(&decoder, bytes, (size_t)(encoder.at - bytes));
	for (unsigned i = 0; i < EVENTS; i++) {
		assert_true(vmt_codec_get_event(&decoder, &event));
		assert_memory_equal(&event, &events[i], sizeof(event));
	}
	assert_ptr_equal(decoder.at, decoder.end);
	assert_false(vmt_codec_get_event(&decoder, &event));
}

/* The bytes that docs/trace-format.md gives as its example. */
static void
test_documented_bytes(void **state)
{
	static const unsigned char expected[] = {
	    0xc1, 0x07, 0xd0, 0x0f, 0x80, 0x80, 0x08, 0x40, 0x05, 0x2a, /* malloc */
	    0x50, 0x64, 0x00,						/* free */
	};
	unsigned char bytes[256];
	struct vmt_encoder encoder;
	struct vmt_event event = {.kind = VMT_EVENT_MALLOC,
				  .time = 1000,
				  .address = 0x100000,
				  .length = 64,
				  .stack = 5,
				  .thread = 42};

	(void)state;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	assert_true(vmt_codec_put_event(&encoder, &event));
	event = (struct vmt_event){
	    .kind = VMT_EVENT_FREE, .time = 1050, .address = 0x100000, .thread = 42};
	assert_true(vmt_codec_put_event(&encoder, &event));
	assert_int_equal(encoder.at - bytes, sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
}

/* A program that mallocs and frees a few sizes from a few places. */
static void
test_typical_events_are_small(void **state)
{
	static unsigned char bytes[2000 * VMT_CODEC_EVENT_MAX_BYTES];
	struct vmt_encoder encoder;
	struct vmt_event event = {.thread = 4711, .time = UINT64_C(1) << 45};
	uint64_t base = UINT64_C(0x555555560000);

	(void)state;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t draw = next_random();

		event.kind = i % 2 ? VMT_EVENT_FREE : VMT_EVENT_MALLOC;
		event.time += 200 + draw % 3000;
		event.address = base + (draw >> 20) % 8192 * 16;
		event.length = i % 2 ? 0 : 16 << (draw >> 40) % 6;
		event.stack = i % 2 ? 0 : 100 + 20 * (uint32_t)((draw >> 50) % 8);
		assert_true(vmt_codec_put_event(&encoder, &event));
	}
	assert_in_range(encoder.at - bytes, 2000 * 3, 2000 * 7);
}

static void
test_no_room_changes_nothing(void **state)
{
	unsigned char bytes[VMT_CODEC_EVENT_MAX_BYTES];
	struct vmt_encoder encoder;
	struct vmt_event event = {.kind = VMT_EVENT_KINDS};

	(void)state;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	assert_false(vmt_codec_put_event(&encoder, &event)); /* not a kind */
	event.kind = VMT_EVENT_MMAP;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes) - 1);
	assert_false(vmt_codec_put_event(&encoder, &event));
	assert_ptr_equal(encoder.at, bytes);
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	assert_true(vmt_codec_put_event(&encoder, &event));
}

/* The largest record of each sort keeps within what callers reserve. */
static void
test_largest_records(void **state)
{
	unsigned char bytes[128];
	struct vmt_encoder encoder;
	struct vmt_event event;
	const struct vmt_mapping mapping = {.start = UINT64_C(1) << 63,
					    .end = UINT64_MAX,
					    .file_offset = UINT64_MAX,
					    .inode = UINT64_MAX,
					    .device = UINT32_MAX,
					    .protection = 0xff,
					    .shared = 1};
	const struct vmt_run run = {.start = 1, .bytes = UINT64_MAX - 1, .kind = UINT32_MAX};

	(void)state;
	memset(&event, 0xff, sizeof(event));
	event.kind = VMT_EVENT_KINDS - 1;
	event.time = UINT64_C(1) << 63;
	event.address = (UINT64_C(1) << 63) + 1;
	event.error = INT16_MIN;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	assert_true(vmt_codec_put_event(&encoder, &event));
	assert_in_range(encoder.at - bytes, 1, VMT_CODEC_EVENT_MAX_BYTES);
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	assert_true(vmt_codec_put_mapping(&encoder, &mapping, UINT32_MAX));
	assert_in_range(encoder.at - bytes, 1, VMT_CODEC_MAPPING_MAX_BYTES);
	vmt_codec_begin_encode(&encoder, bytes, VMT_CODEC_RUN_MAX_BYTES);
	encoder.context.address = UINT64_C(1) << 63;
	assert_true(vmt_codec_put_run(&encoder, &run));
	assert_in_range(encoder.at - bytes, 1, VMT_CODEC_RUN_MAX_BYTES);
}

static size_t
sample_snapshot(unsigned char *bytes, size_t length)
{
	struct vmt_encoder encoder;
	const struct vmt_mapping heap = {.start = UINT64_C(0x555555556000),
					 .end = UINT64_C(0x555555600000),
					 .protection = 3,
					 .path = "[heap]",
					 .path_bytes = 6};
	const struct vmt_mapping file = {.start = UINT64_C(0x7f0000000000),
					 .end = UINT64_C(0x7f0000010000),
					 .file_offset = 8192,
					 .inode = 123456,
					 .device = 0x801,
					 .protection = 5,
					 .shared = 1,
					 .path = "/lib/x",
					 .path_bytes = 6};
	const struct vmt_run runs[] = {{heap.start, 4096, VMT_RUN_PRESENT},
				       {heap.start + 8192, 4096, VMT_RUN_SWAPPED}};

	vmt_codec_begin_encode(&encoder, bytes, length);
	assert_true(vmt_codec_put_mapping(&encoder, &heap, 2));
	assert_true(vmt_codec_put_run(&encoder, &runs[0]));
	assert_true(vmt_codec_put_run(&encoder, &runs[1]));
	assert_true(vmt_codec_put_mapping(&encoder, &file, 0));
	return (size_t)(encoder.at - bytes);
}

static void
test_snapshot_comes_back(void **state)
{
	unsigned char bytes[512];
	struct vmt_decoder decoder;
	struct vmt_mapping mapping;
	struct vmt_run run;
	uint32_t runs;

	(void)state;
	vmt_codec_begin_decode(&decoder, bytes, sample_snapshot(bytes, sizeof(bytes)));
	assert_true(vmt_codec_get_mapping(&decoder, &mapping, &runs));
	assert_true(mapping.start == UINT64_C(0x555555556000));
	assert_true(mapping.end == UINT64_C(0x555555600000));
	assert_int_equal(runs, 2);
	assert_int_equal(mapping.path_bytes, 6);
	assert_memory_equal(mapping.path, "[heap]", 6);
	assert_true(vmt_codec_get_run(&decoder, &run));
	assert_true(run.start == mapping.start && run.bytes == 4096);
	assert_int_equal(run.kind, VMT_RUN_PRESENT);
	assert_true(vmt_codec_get_run(&decoder, &run));
	assert_true(run.start == mapping.start + 8192);
	assert_int_equal(run.kind, VMT_RUN_SWAPPED);
	assert_true(vmt_codec_get_mapping(&decoder, &mapping, &runs));
	assert_true(mapping.start == UINT64_C(0x7f0000000000));
	assert_int_equal(mapping.end - mapping.start, 0x10000);
	assert_int_equal(mapping.file_offset, 8192);
	assert_int_equal(mapping.inode, 123456);
	assert_int_equal(mapping.device, 0x801);
	assert_int_equal(mapping.protection, 5);
	assert_int_equal(mapping.shared, 1);
	assert_int_equal(runs, 0);
	assert_ptr_equal(decoder.at, decoder.end);
}

/* Decodes what it can as all three sorts, from a heap block of the exact size (for ASan). */
static void
decode_all(const unsigned char *bytes, size_t length)
{
	unsigned char *copy = malloc(length + 1);
	struct vmt_decoder decoder;
	struct vmt_event event;
	struct vmt_mapping mapping;
	struct vmt_run run;
	uint32_t runs;

	memcpy(copy, bytes, length);
	copy = realloc(copy, length == 0 ? 1 : length);
	vmt_codec_begin_decode(&decoder, copy, length);
	while (vmt_codec_get_event(&decoder, &event))
		assert_true(event.kind < VMT_EVENT_KINDS);
	vmt_codec_begin_decode(&decoder, copy, length);
	while (vmt_codec_get_mapping(&decoder, &mapping, &runs)) {
		assert_true(mapping.end >= mapping.start);
		assert_true((const unsigned char *)mapping.path + mapping.path_bytes <=
			    decoder.end);
	}
	vmt_codec_begin_decode(&decoder, copy, length);
	while (vmt_codec_get_run(&decoder, &run))
		assert_true(run.start + run.bytes >= run.start);
	free(copy);
}

static void
test_malformed_bytes(void **state)
{
	unsigned char bytes[600];
	struct vmt_event event;
	struct vmt_decoder decoder;
	static const unsigned char reserved_bits[] = {0x81, 0x40, 0, 0};
	static const unsigned char endless[] = {0x01, 0x80, 0x80, 0x80, 0x80, 0x80,
						0x80, 0x80, 0x80, 0x80, 0x02, 0x00};

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t length = next_random() % sizeof(bytes);

		for (size_t i = 0; i < length; i++)
			bytes[i] = (unsigned char)(round % 3 ? next_random() : next_value());
		decode_all(bytes, length);
	}
	for (size_t length = sample_snapshot(bytes, sizeof(bytes)); length != 0; length--)
		decode_all(bytes, length - 1);
	vmt_codec_begin_decode(&decoder, reserved_bits, sizeof(reserved_bits));
	assert_false(vmt_codec_get_event(&decoder, &event));
	vmt_codec_begin_decode(&decoder, endless, sizeof(endless));
	assert_false(vmt_codec_get_event(&decoder, &event)); /* 65 bits */
}

/* Every cut of a record is refused, none is taken for a shorter one. */
static void
test_cut_events(void **state)
{
	unsigned char bytes[256];
	struct vmt_encoder encoder;
	struct vmt_decoder decoder;
	struct vmt_event event;
	size_t length;

	(void)state;
	memset(&event, 0x5a, sizeof(event));
	event.kind = VMT_EVENT_MREMAP;
	event.reserved = 0;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	assert_true(vmt_codec_put_event(&encoder, &event));
	length = (size_t)(encoder.at - bytes);
	for (size_t cut = 0; cut < length; cut++) {
		vmt_codec_begin_decode(&decoder, bytes, cut);
		assert_false(vmt_codec_get_event(&decoder, &event));
	}
	vmt_codec_begin_decode(&decoder, bytes, length);
	assert_true(vmt_codec_get_event(&decoder, &event));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_events_come_back),
	    cmocka_unit_test(test_documented_bytes),
	    cmocka_unit_test(test_typical_events_are_small),
	    cmocka_unit_test(test_no_room_changes_nothing),
	    cmocka_unit_test(test_largest_records),
	    cmocka_unit_test(test_snapshot_comes_back),
	    cmocka_unit_test(test_malformed_bytes),
	    cmocka_unit_test(test_cut_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
