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

/* The largest record of each sort keeps within what callers reserve. */
static void
test_largest_records(void **state)
{
	unsigned char bytes[128];
	struct vmt_encoder encoder;
	const struct vmt_mapping mapping = {.start = UINT64_C(1) << 63,
					    .end = UINT64_MAX,
					    .file_offset = UINT64_MAX,
					    .inode = UINT64_MAX,
					    .device = UINT32_MAX,
					    .protection = 0xff,
					    .shared = 1};
	const struct vmt_run run = {.start = 1, .bytes = UINT64_MAX - 1, .kind = UINT32_MAX};

	(void)state;
	vmt_codec_begin_encode(&encoder, bytes, sizeof(bytes));
	assert_true(vmt_codec_put_mapping(&encoder, &mapping, UINT32_MAX));
	assert_in_range(encoder.at - bytes, 1, VMT_CODEC_MAPPING_MAX_BYTES);
	vmt_codec_begin_encode(&encoder, bytes, VMT_CODEC_RUN_MAX_BYTES);
	encoder.address = UINT64_C(1) << 63;
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

/* Decodes what it can as both sorts, from a heap block of the exact size (for ASan). */
static void
decode_all(const unsigned char *bytes, size_t length)
{
	unsigned char *copy = malloc(length + 1);
	struct vmt_decoder decoder;
	struct vmt_mapping mapping;
	struct vmt_run run;
	uint32_t runs;

	memcpy(copy, bytes, length);
	copy = realloc(copy, length == 0 ? 1 : length);
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
	struct vmt_run run;
	struct vmt_decoder decoder;
	static const unsigned char endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
						0x80, 0x80, 0x80, 0x02, 0x00, 0x00};

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t length = next_random() % sizeof(bytes);

		for (size_t i = 0; i < length; i++)
			bytes[i] = (unsigned char)(round % 3 ? next_random() : next_value());
		decode_all(bytes, length);
	}
	for (size_t length = sample_snapshot(bytes, sizeof(bytes)); length != 0; length--)
		decode_all(bytes, length - 1);
	vmt_codec_begin_decode(&decoder, endless, sizeof(endless));
	assert_false(vmt_codec_get_run(&decoder, &run)); /* 65 bits */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_largest_records),
	    cmocka_unit_test(test_snapshot_comes_back),
	    cmocka_unit_test(test_malformed_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
