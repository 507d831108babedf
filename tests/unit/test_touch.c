/*
 * test_touch.c: do sampled page faults come back from a trace's bytes, and do hostile bytes harm?
 */
#include "format/touch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD_BYTES sizeof(struct vmt_touch_head)

static const struct vmt_chunk header = {.kind = VMT_CHUNK_TOUCH, .record_bytes = HEAD_BYTES};

/* docs/trace-format.md, TOUCH: behind the head. */
static const unsigned char example[] = {
    0x02, 0x00, 0xec, 0xc4, 0x80, 0x04, 0x94, 0x01, 0x02, 0x01, 0x5f, 0x60, 0xd0, 0x0f, 0x80,
    0x80, 0x80, 0xc0, 0xff, 0x01, 0x2a, 0x0c, 0x00, 0x14, 0x80, 0x08, 0x2a, 0x95, 0x01,
};

static const struct vmt_touch_stack example_stacks[] = {
    {2, VMT_TOUCH_STACK_COMPLETE, {0x401136, 0x401180}},
    {2, VMT_TOUCH_STACK_CUT, {0x401150, 0x401180}},
};

static const struct vmt_touch_sample example_samples[] = {
    {.time = 1000, .address = UINT64_C(0x7fc000000000), .thread = 42, .page_shift = 12},
    {.time = 1010,
     .address = UINT64_C(0x7fc000200000),
     .thread = 42,
     .stack = 1,
     .page_shift = 21,
     .kernel = true},
};

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

static size_t
encode_example(unsigned char *bytes, size_t length)
{
	const struct vmt_touch_head head = {
	    .period = 61, .minor_faults = 122, .flags = VMT_TOUCH_PAGE_SIZES};
	struct vmt_touch_encoder encoder;

	vmt_touch_begin_encode(&encoder, bytes, length);
	for (size_t i = 0; i < 2; i++)
		assert_true(vmt_touch_put_stack(&encoder, &example_stacks[i]));
	for (size_t i = 0; i < 2; i++)
		assert_true(vmt_touch_put_sample(&encoder, &example_samples[i]));
	return vmt_touch_end_encode(&encoder, &head);
}

static void
assert_same_stack(const struct vmt_touch_stack *a, const struct vmt_touch_stack *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->end, b->end);
	assert_memory_equal(a->frames, b->frames, a->count * sizeof(a->frames[0]));
}

static void
assert_same_sample(const struct vmt_touch_sample *a, const struct vmt_touch_sample *b)
{
	assert_true(a->time == b->time && a->address == b->address);
	assert_int_equal(a->thread, b->thread);
	assert_int_equal(a->stack, b->stack);
	assert_int_equal(a->page_shift, b->page_shift);
	assert_int_equal(a->major, b->major);
	assert_int_equal(a->kernel, b->kernel);
}

static void
test_the_documented_bytes(void **state)
{
	unsigned char bytes[4096];
	struct vmt_touch_head head;

	(void)state;
	assert_int_equal(encode_example(bytes, sizeof(bytes)), HEAD_BYTES + sizeof(example));
	assert_memory_equal(bytes + HEAD_BYTES, example, sizeof(example));
	memcpy(&head, bytes, HEAD_BYTES);
	assert_int_equal(head.period, 61);
	assert_int_equal(head.minor_faults, 122);
	assert_int_equal(head.stacks, 2);
	assert_int_equal(head.samples, 2);
}

static void
test_the_heads_offsets(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct vmt_touch_head, samples_lost), 24);
	assert_int_equal(offsetof(struct vmt_touch_head, flags), 40);
	assert_int_equal(offsetof(struct vmt_touch_head, refused), 44);
	assert_int_equal(offsetof(struct vmt_touch_head, samples), 52);
	assert_int_equal(VMT_CHUNK_TOUCH, 32771);
}

static void
check_example(const struct vmt_chunk *chunk, const unsigned char *bytes, size_t length)
{
	struct vmt_touch_decoder decoder;
	struct vmt_touch_head head;
	struct vmt_touch_stack stack;
	struct vmt_touch_sample sample;

	assert_true(vmt_touch_begin_decode(&decoder, chunk, bytes, length, &head));
	assert_int_equal(head.period, 61);
	assert_false(vmt_touch_get_sample(&decoder, &sample)); /* stacks come first */
	for (size_t i = 0; i < 2; i++) {
		assert_true(vmt_touch_get_stack(&decoder, &stack));
		assert_same_stack(&stack, &example_stacks[i]);
	}
	assert_false(vmt_touch_get_stack(&decoder, &stack));
	for (size_t i = 0; i < 2; i++) {
		assert_false(vmt_touch_is_done(&decoder));
		assert_true(vmt_touch_get_sample(&decoder, &sample));
		assert_same_sample(&sample, &example_samples[i]);
	}
	assert_true(vmt_touch_is_done(&decoder));
	assert_false(vmt_touch_get_sample(&decoder, &sample));
}

static void
test_the_documented_bytes_come_back(void **state)
{
	unsigned char bytes[4096];
	size_t length = encode_example(bytes, sizeof(bytes));

	(void)state;
	check_example(&header, bytes, length);
}

/* Of a later version's head the rest is passed over. */
static void
test_a_longer_head(void **state)
{
	struct vmt_chunk longer = header;
	unsigned char bytes[4096], moved[4096];
	size_t length = encode_example(bytes, sizeof(bytes));

	(void)state;
	memcpy(moved, bytes, HEAD_BYTES);
	memset(moved + HEAD_BYTES, 0x77, 12);
	memcpy(moved + HEAD_BYTES + 12, bytes + HEAD_BYTES, length - HEAD_BYTES);
	longer.record_bytes = HEAD_BYTES + 12;
	check_example(&longer, moved, length + 12);
}

static void
random_stack(struct vmt_touch_stack *stack)
{
	stack->count = (uint32_t)(next_random() % (VMT_STACK_MAX_FRAMES + 1));
	stack->end = (uint8_t)(next_random() % (VMT_TOUCH_STACK_UNKNOWN + 1));
	for (uint32_t i = 0; i < stack->count; i++)
		stack->frames[i] = next_value();
}

static struct vmt_touch_sample
random_sample(uint32_t stacks)
{
	return (struct vmt_touch_sample){.time = next_value(),
					 .address = next_value() & ~UINT64_C(4095),
					 .thread = (uint32_t)next_value(),
					 .stack = (uint32_t)(next_random() % stacks),
					 .page_shift = (uint8_t)(next_random() % 64),
					 .major = next_random() & 1,
					 .kernel = next_random() & 1};
}

#define MANY_STACKS 40u
#define MANY_SAMPLES 500u

static void
test_any_values_come_back(void **state)
{
	static struct vmt_touch_stack stacks[MANY_STACKS];
	static struct vmt_touch_sample samples[MANY_SAMPLES];
	static unsigned char bytes[1 << 18];
	const struct vmt_touch_head head = {.period = 1};
	struct vmt_touch_encoder encoder;
	struct vmt_touch_decoder decoder;
	struct vmt_touch_head read;
	size_t length;

	(void)state;
	vmt_touch_begin_encode(&encoder, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < MANY_STACKS; i++) {
		random_stack(&stacks[i]);
		assert_true(vmt_touch_put_stack(&encoder, &stacks[i]));
	}
	for (uint32_t i = 0; i < MANY_SAMPLES; i++) {
		samples[i] = random_sample(MANY_STACKS);
		assert_true(vmt_touch_put_sample(&encoder, &samples[i]));
	}
	length = vmt_touch_end_encode(&encoder, &head);
	assert_true(vmt_touch_begin_decode(&decoder, &header, bytes, length, &read));
	for (uint32_t i = 0; i < MANY_STACKS; i++) {
		struct vmt_touch_stack stack;

		assert_true(vmt_touch_get_stack(&decoder, &stack));
		assert_same_stack(&stack, &stacks[i]);
	}
	for (uint32_t i = 0; i < MANY_SAMPLES; i++) {
		struct vmt_touch_sample sample;

		assert_true(vmt_touch_get_sample(&decoder, &sample));
		assert_same_sample(&sample, &samples[i]);
	}
	assert_true(vmt_touch_is_done(&decoder));
}

/* The largest record of each sort keeps within what callers reserve; what does not fit writes
 * nothing. */
static void
test_the_room_is_kept_to(void **state)
{
	const size_t room = HEAD_BYTES + VMT_TOUCH_STACK_MAX_BYTES + VMT_TOUCH_SAMPLE_MAX_BYTES;
	unsigned char bytes[HEAD_BYTES + 2 * VMT_TOUCH_STACK_MAX_BYTES];
	struct vmt_touch_stack stack = {.count = VMT_STACK_MAX_FRAMES};
	const struct vmt_touch_sample sample = {.time = UINT64_C(1) << 63,
						.address = UINT64_C(1) << 63,
						.thread = UINT32_MAX,
						.page_shift = 63};
	struct vmt_touch_encoder encoder;

	(void)state;
	memset(bytes, 0xaa, sizeof(bytes));
	for (uint32_t i = 0; i < VMT_STACK_MAX_FRAMES; i++)
		stack.frames[i] = i % 2 == 0 ? UINT64_C(1) << 63 : 0;
	vmt_touch_begin_encode(&encoder, bytes, room);
	assert_true(vmt_touch_put_stack(&encoder, &stack));
	assert_in_range(encoder.at - bytes, 1, HEAD_BYTES + VMT_TOUCH_STACK_MAX_BYTES);
	while (vmt_touch_put_sample(&encoder, &sample))
		;
	assert_in_range(encoder.samples, 1, 100);
	assert_int_equal(bytes[room], 0xaa);
	vmt_touch_begin_encode(&encoder, bytes, room - VMT_TOUCH_SAMPLE_MAX_BYTES - 1);
	assert_false(vmt_touch_put_stack(&encoder, &stack));
	assert_int_equal(encoder.stacks, 0);
}

/* Reads all there is. Returns whether the chunk was whole. */
static bool
decode_all(const struct vmt_chunk *chunk, const unsigned char *bytes, size_t length)
{
	unsigned char *exact = malloc(length + 1); /* its end is where a sanitizer looks */
	struct vmt_touch_decoder decoder;
	struct vmt_touch_head head;
	struct vmt_touch_stack stack;
	struct vmt_touch_sample sample;
	bool whole = false;

	assert_non_null(exact);
	memcpy(exact + 1, bytes, length);
	if (vmt_touch_begin_decode(&decoder, chunk, exact + 1, length, &head)) {
		while (vmt_touch_get_stack(&decoder, &stack)) {
			assert_true(stack.count <= VMT_STACK_MAX_FRAMES);
			assert_true(stack.end <= VMT_TOUCH_STACK_UNKNOWN);
		}
		while (vmt_touch_get_sample(&decoder, &sample))
			assert_true(sample.stack < head.stacks && sample.page_shift < 64 &&
				    sample.address % 4096 == 0);
		assert_true(decoder.at <= decoder.end);
		whole = vmt_touch_is_done(&decoder);
	}
	free(exact);
	return whole;
}

static void
test_a_cut_payload_is_not_whole(void **state)
{
	unsigned char bytes[4096];
	size_t length = encode_example(bytes, sizeof(bytes));

	(void)state;
	assert_true(decode_all(&header, bytes, length));
	for (size_t cut = 0; cut < length; cut++)
		assert_false(decode_all(&header, bytes, cut));
	bytes[length] = 0;
	assert_false(decode_all(&header, bytes, length + 1));
}

static void
test_a_head_that_lies(void **state)
{
	unsigned char bytes[4096];
	size_t length = encode_example(bytes, sizeof(bytes));
	struct vmt_touch_head head;
	struct vmt_chunk chunk = header;

	(void)state;
	memcpy(&head, bytes, HEAD_BYTES);
	head.samples = UINT32_MAX;
	memcpy(bytes, &head, HEAD_BYTES);
	assert_false(decode_all(&header, bytes, length));
	head.samples = 2;
	head.stacks = UINT32_MAX;
	memcpy(bytes, &head, HEAD_BYTES);
	assert_false(decode_all(&header, bytes, length));
	chunk.record_bytes = HEAD_BYTES - 1;
	assert_false(decode_all(&chunk, bytes, length));
	chunk.record_bytes = (uint32_t)length + 1;
	assert_false(decode_all(&chunk, bytes, length));
}

/* A stack that is not there, more frames than any stack has. */
static void
test_single_lies(void **state)
{
	unsigned char bytes[4096];
	size_t length = encode_example(bytes, sizeof(bytes));

	(void)state;
	bytes[length - 1] = 2;
	assert_false(decode_all(&header, bytes, length));
	bytes[length - 1] = 1;
	bytes[HEAD_BYTES + 1] = 99; /* a reason of a later version */
	assert_true(decode_all(&header, bytes, length));
	bytes[HEAD_BYTES] = VMT_STACK_MAX_FRAMES + 1;
	assert_false(decode_all(&header, bytes, length));
}

static void
test_a_page_beyond_the_address_space(void **state)
{
	/* a stack without frames; tick 0, page 2^52, thread 1, 4 KiB, stack 0 */
	static const unsigned char payload[] = {0x00, 0x04, 0x00, 0x80, 0x80, 0x80, 0x80,
						0x80, 0x80, 0x80, 0x10, 0x01, 0x0c, 0x00};
	const struct vmt_touch_head head = {.period = 1, .stacks = 1, .samples = 1};
	unsigned char bytes[HEAD_BYTES + sizeof(payload)];

	(void)state;
	memcpy(bytes, &head, HEAD_BYTES);
	memcpy(bytes + HEAD_BYTES, payload, sizeof(payload));
	assert_false(decode_all(&header, bytes, sizeof(bytes)));
	bytes[HEAD_BYTES + 10] = 0x08; /* page 2^51 */
	assert_true(decode_all(&header, bytes, sizeof(bytes)));
}

static void
test_hostile_bytes_never_lead_astray(void **state)
{
	unsigned char bytes[4096];

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t length = encode_example(bytes, sizeof(bytes));
		unsigned changes = 1 + next_random() % 4;

		for (unsigned i = 0; i < changes; i++)
			bytes[next_random() % length] = (unsigned char)next_value();
		decode_all(&header, bytes,
			   next_random() % 8 == 0 ? next_random() % length : length);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_documented_bytes),
	    cmocka_unit_test(test_the_heads_offsets),
	    cmocka_unit_test(test_the_documented_bytes_come_back),
	    cmocka_unit_test(test_a_longer_head),
	    cmocka_unit_test(test_any_values_come_back),
	    cmocka_unit_test(test_the_room_is_kept_to),
	    cmocka_unit_test(test_a_cut_payload_is_not_whole),
	    cmocka_unit_test(test_a_head_that_lies),
	    cmocka_unit_test(test_single_lies),
	    cmocka_unit_test(test_a_page_beyond_the_address_space),
	    cmocka_unit_test(test_hostile_bytes_never_lead_astray),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
