#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/render/emitter.h"

/* One string in an array, as it comes out. */
static void
check_string(const char *text, size_t length, const char *expected)
{
	struct vmt_emitter emitter;
	struct vmt_err err = {""};
	char whole[256];
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);

	vmt_emitter_begin(&emitter, file, VMT_EMITTER_JSON_LINES);
	vmt_emitter_array(&emitter, NULL);
	vmt_emitter_bytes(&emitter, NULL, text, length);
	vmt_emitter_array_end(&emitter);
	assert_int_equal(vmt_emitter_finish(&emitter, &err), 0);
	fclose(file);
	snprintf(whole, sizeof(whole), "[\"%s\"]\n", expected);
	assert_string_equal(out, whole);
	free(out);
}

static void
escapes_what_json_wants_escaped(void **state)
{
	(void)state;
	check_string("plain /path", 11, "plain /path");
	check_string("q\"b\\s", 5, "q\\\"b\\\\s");
	check_string("\b\f\n\r\t", 5, "\\b\\f\\n\\r\\t");
	check_string("\0\001\037\177", 4, "\\u0000\\u0001\\u001f\\u007f");
	check_string("", 0, "");
}

static void
writes_out_what_steers_a_terminal(void **state)
{
	(void)state;
	check_string("\xc2\x9b", 2, "\\u009b");
	check_string("\xe2\x80\xae", 3, "\\u202e");
	check_string("\xef\xbb\xbf", 3, "\\ufeff");
}

static void
check_number(enum vmt_emitter_form form, uint64_t value, const char *expected)
{
	struct vmt_emitter emitter;
	struct vmt_err err = {""};
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);

	vmt_emitter_begin(&emitter, file, form);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_u64(&emitter, "n", value);
	vmt_emitter_object_end(&emitter);
	assert_int_equal(vmt_emitter_finish(&emitter, &err), 0);
	fclose(file);
	assert_string_equal(out, expected);
	free(out);
}

/* Most readers of JSON have signed numbers. */
static void
numbers_in_json_stay_below_the_sign(void **state)
{
	(void)state;
	check_number(VMT_EMITTER_JSON_LINES, INT64_MAX, "{\"n\":9223372036854775807}\n");
	check_number(VMT_EMITTER_JSON_LINES, UINT64_MAX, "{\"n\":9223372036854775807}\n");
	check_number(VMT_EMITTER_TEXT, UINT64_MAX, "n=18446744073709551615\n");
}

static void
keeps_utf8_and_replaces_what_is_not(void **state)
{
	(void)state;
	check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
		     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	check_string("a\xff"
		     "b",
		     3, "a\\ufffdb");
	check_string("\xc0\xaf", 2, "\\ufffd\\ufffd");			     /* overlong */
	check_string("\xe0\x9f\xbf", 3, "\\ufffd\\ufffd\\ufffd");	     /* overlong */
	check_string("\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd");	     /* surrogate */
	check_string("\xf4\x90\x80\x80", 4, "\\ufffd\\ufffd\\ufffd\\ufffd"); /* past the end */
	check_string("\xe2\x82", 2, "\\ufffd\\ufffd");			     /* cut */
	check_string("\xc3\"", 2, "\\ufffd\\\"");
	check_string("\xe2\x82\"", 3, "\\ufffd\\ufffd\\\"");
}

static void
emit_sample(FILE *file, enum vmt_emitter_form form)
{
	struct vmt_emitter emitter;
	struct vmt_err err = {""};

	vmt_emitter_begin(&emitter, file, form);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_column(&emitter, "kind", -6, "MMAP");
	vmt_emitter_u64(&emitter, "most", UINT64_MAX);
	vmt_emitter_i64(&emitter, "least", INT64_MIN);
	vmt_emitter_address(&emitter, "address", 0x7f00deadbeef);
	vmt_emitter_bool(&emitter, "yes", true);
	vmt_emitter_string(&emitter, "none", NULL);
	vmt_emitter_string(&emitter, "path", "/a b");
	vmt_emitter_array(&emitter, "frames");
	vmt_emitter_address(&emitter, NULL, 1);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_string(&emitter, "f", "main");
	vmt_emitter_object_end(&emitter);
	vmt_emitter_array_end(&emitter);
	vmt_emitter_array(&emitter, "empty");
	vmt_emitter_array_end(&emitter);
	vmt_emitter_object_end(&emitter);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_object_end(&emitter);
	assert_int_equal(vmt_emitter_finish(&emitter, &err), 0);
}

static void
check_sample(enum vmt_emitter_form form, const char *expected)
{
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);

	emit_sample(file, form);
	fclose(file);
	assert_string_equal(out, expected);
	free(out);
}

static void
writes_one_line_a_document(void **state)
{
	(void)state;
	check_sample(VMT_EMITTER_JSON_LINES,
		     "{\"kind\":\"MMAP\",\"most\":9223372036854775807,"
		     "\"least\":-9223372036854775808,\"address\":\"0x7f00deadbeef\","
		     "\"yes\":true,\"none\":null,\"path\":\"/a b\","
		     "\"frames\":[\"0x1\",{\"f\":\"main\"}],\"empty\":[]}\n{}\n");
}

static void
writes_indented_json(void **state)
{
	(void)state;
	check_sample(VMT_EMITTER_JSON, "{\n"
				       "  \"kind\": \"MMAP\",\n"
				       "  \"most\": 9223372036854775807,\n"
				       "  \"least\": -9223372036854775808,\n"
				       "  \"address\": \"0x7f00deadbeef\",\n"
				       "  \"yes\": true,\n"
				       "  \"none\": null,\n"
				       "  \"path\": \"/a b\",\n"
				       "  \"frames\": [\n"
				       "    \"0x1\",\n"
				       "    {\n"
				       "      \"f\": \"main\"\n"
				       "    }\n"
				       "  ],\n"
				       "  \"empty\": []\n"
				       "}\n{}\n");
}

static void
writes_text_for_people(void **state)
{
	(void)state;
	check_sample(VMT_EMITTER_TEXT, "MMAP   most=18446744073709551615 "
				       "least=-9223372036854775808 address=0x7f00deadbeef "
				       "yes=true none=null path=\"/a b\" "
				       "frames=[0x1 {f=main}] empty=[]\n\n");
}

static void
reports_output_that_failed(void **state)
{
	struct vmt_emitter emitter;
	struct vmt_err err = {""};
	FILE *file = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(file);
	vmt_emitter_begin(&emitter, file, VMT_EMITTER_JSON_LINES);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_object_end(&emitter);
	assert_int_equal(vmt_emitter_finish(&emitter, &err), -EIO);
	assert_non_null(strstr(err.text, strerror(ENOSPC)));
	fclose(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(escapes_what_json_wants_escaped),
	    cmocka_unit_test(writes_out_what_steers_a_terminal),
	    cmocka_unit_test(numbers_in_json_stay_below_the_sign),
	    cmocka_unit_test(keeps_utf8_and_replaces_what_is_not),
	    cmocka_unit_test(writes_one_line_a_document),
	    cmocka_unit_test(writes_indented_json),
	    cmocka_unit_test(writes_text_for_people),
	    cmocka_unit_test(reports_output_that_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
