/* The bytes of fields, worked out by hand from the encoding's description. */
#include "tools/export/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
expect(struct vmt_protobuf *message, const void *bytes, size_t length)
{
	assert_false(message->failed);
	assert_int_equal(message->length, length);
	assert_memory_equal(message->bytes, bytes, length);
	vmt_protobuf_free(message);
}

#define EXPECT(message, bytes) expect(message, bytes, sizeof(bytes) - 1)

static void
test_numbers(void **state)
{
	struct vmt_protobuf message = {0};

	(void)state;
	vmt_protobuf_varint(&message, 1, 0);
	vmt_protobuf_varint(&message, 2, 127);
	vmt_protobuf_varint(&message, 15, 128);
	vmt_protobuf_varint(&message, 16, 150);
	vmt_protobuf_varint(&message, 3, UINT64_MAX);
	EXPECT(&message, "\x08\x00\x10\x7f\x78\x80\x01\x80\x01\x96\x01\x18\xff\xff\xff\xff\xff\xff"
			 "\xff\xff\xff\x01");
}

static void
test_texts_and_lists(void **state)
{
	static const uint64_t values[] = {3, 270, 86942};
	struct vmt_protobuf message = {0};

	(void)state;
	vmt_protobuf_string(&message, 2, "testing");
	vmt_protobuf_string(&message, 2, "");
	vmt_protobuf_packed(&message, 4, values, 3);
	vmt_protobuf_packed(&message, 5, values, 0);
	EXPECT(&message, "\x12\x07testing\x12\x00\x22\x06\x03\x8e\x02\x9e\xa7\x05\x2a\x00");
}

static void
test_a_message_in_a_message(void **state)
{
	struct vmt_protobuf message = {0};
	struct vmt_protobuf inner = {0};
	struct vmt_protobuf other = {0};

	(void)state;
	vmt_protobuf_varint(&inner, 1, 150);
	vmt_protobuf_message(&message, 3, &inner);
	assert_int_equal(inner.length, 0);
	vmt_protobuf_message(&message, 3, &inner);
	vmt_protobuf_varint(&other, 9, 1);
	vmt_protobuf_join(&message, &other);
	vmt_protobuf_free(&inner);
	vmt_protobuf_free(&other);
	EXPECT(&message, "\x1a\x03\x08\x96\x01\x1a\x00\x48\x01");
}

static void
test_a_long_text(void **state)
{
	struct vmt_protobuf message = {0};
	char *text = malloc(100001);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 100000);
	text[100000] = '\0';
	vmt_protobuf_string(&message, 1, text);
	assert_false(message.failed);
	assert_int_equal(message.length, 100000 + 4);
	assert_memory_equal(message.bytes, "\x0a\xa0\x8d\x06", 4);
	assert_memory_equal(message.bytes + 4, text, 100000);
	vmt_protobuf_free(&message);
	free(text);
}

/* A part that found no memory is remembered in what it becomes a part of. */
static void
test_a_failure_stays(void **state)
{
	struct vmt_protobuf message = {0};
	struct vmt_protobuf inner = {.failed = true};

	(void)state;
	vmt_protobuf_message(&message, 1, &inner);
	assert_true(message.failed);
	vmt_protobuf_free(&message);
	vmt_protobuf_join(&message, &inner);
	assert_true(message.failed);
	vmt_protobuf_free(&message);
	assert_false(message.failed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_texts_and_lists),
	    cmocka_unit_test(test_a_message_in_a_message),
	    cmocka_unit_test(test_a_long_text),
	    cmocka_unit_test(test_a_failure_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
