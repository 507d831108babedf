/* The HTML report's file: what is written comes out again, and nothing in it is markup. */
#include "tools/page/gzip_base64.h"
#include "tools/page/html.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

static int
digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Returns the count of bytes; result has room for all. */
static size_t
decode_base64(const char *text, size_t length, unsigned char *result)
{
	uint32_t bits = 0;
	size_t digits = 0;
	size_t used = 0;
	size_t padding = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n')
			continue;
		if (text[i] == '=')
			padding++;
		else
			assert_int_equal(padding, 0); /* at the end alone */
		bits = bits << 6 | (uint32_t)(text[i] == '=' ? 0 : digit(text[i]));
		assert_true(text[i] == '=' || digit(text[i]) >= 0);
		if (++digits % 4 == 0) {
			result[used++] = bits >> 16 & 255;
			result[used++] = bits >> 8 & 255;
			result[used++] = bits & 255;
		}
	}
	assert_int_equal(digits % 4, 0);
	assert_true(padding <= 2);
	return used - padding;
}

static size_t
inflate_all(unsigned char *from, size_t count, unsigned char *to, size_t room)
{
	z_stream stream = {
	    .next_in = from, .avail_in = (uInt)count, .next_out = to, .avail_out = (uInt)room};

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	inflateEnd(&stream);
	return stream.total_out;
}

/* Bytes that do not shrink, so that every length of output occurs. */
static unsigned char *
random_bytes(size_t count)
{
	unsigned char *bytes = malloc(count + 1);
	uint32_t at = 1;

	assert_non_null(bytes);
	for (size_t i = 0; i < count; i++)
		bytes[i] = (unsigned char)((at = at * 1664525 + 1013904223) >> 24);
	return bytes;
}

static void
check_round_trip(size_t count, size_t step)
{
	unsigned char *bytes = random_bytes(count);
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	FILE *in = vmt_gzip_base64_open(out);

	assert_non_null(in);
	for (size_t i = 0; i < count; i += step)
		assert_int_equal(fwrite(bytes + i, 1, count - i < step ? count - i : step, in),
				 count - i < step ? count - i : step);
	assert_int_equal(fclose(in), 0);
	assert_int_equal(fclose(out), 0);

	unsigned char *packed = malloc(length + 3);
	unsigned char *again = malloc(count + 1);

	assert_non_null(packed);
	assert_non_null(again);
	length = decode_base64(text, length, packed);
	assert_int_equal(inflate_all(packed, length, again, count + 1), count);
	assert_memory_equal(again, bytes, count);
	free(again);
	free(packed);
	free(text);
	free(bytes);
}

static void
test_what_is_written_comes_out_again(void **state)
{
	(void)state;
	for (size_t count = 0; count < 20; count++)
		check_round_trip(count, 7);
	for (size_t count = 2960; count < 3010; count++) /* around the end of a line */
		check_round_trip(count, 1000);
	check_round_trip(1 << 20, 4093);
}

static void
test_a_full_disk_is_told(void **state)
{
	FILE *out = fopen("/dev/full", "w");
	unsigned char *bytes = random_bytes(1 << 18);
	FILE *in;
	bool failed;

	(void)state;
	assert_non_null(out);
	setvbuf(out, NULL, _IONBF, 0);
	in = vmt_gzip_base64_open(out);
	assert_non_null(in);
	failed = fwrite(bytes, 1, 1 << 18, in) != 1 << 18;
	failed = fclose(in) != 0 || failed;
	assert_true(failed);
	assert_true(ferror(out));
	fclose(out);
	free(bytes);
}

static int
write_brackets(void *argument, FILE *json, struct vmt_err *err)
{
	(void)err;
	fputs(argument, json);
	return 0;
}

static char *
page_of(const char *title)
{
	struct vmt_err err = {""};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	char json[] = "{\"x\":\"</script><script>alert(1)</script>\"}";

	assert_int_equal(vmt_html_write(out, title, write_brackets, json, &err), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static size_t
occurrences(const char *text, const char *part)
{
	size_t result = 0;

	for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
		result++;
	return result;
}

static void
test_a_title_is_no_markup(void **state)
{
	char *plain = page_of("plain");
	char *odd = page_of("</title><script>alert(1)</script>\"&\xe2\x80\xae\xff\x01");

	(void)state;
	assert_non_null(strstr(plain, "<title>plain</title>"));
	assert_non_null(
	    strstr(odd, "<title>&#60;/title&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#38;"
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd</title>"));
	assert_int_equal(occurrences(odd, "<script"), occurrences(plain, "<script"));
	assert_int_equal(occurrences(plain, "</script>"), 2); /* the data's and the page's */
	free(plain);
	free(odd);
}

static void
test_the_policy_allows_nothing_else(void **state)
{
	char *page = page_of("x");

	(void)state;
	assert_non_null(strstr(page, "content=\"default-src 'none'; script-src 'sha256-"));
	assert_int_equal(occurrences(page, "http://"), 0);
	assert_int_equal(occurrences(page, " src="), 0);
	assert_int_equal(occurrences(page, " href="), 0);
	assert_int_equal(occurrences(page, "<link"), 0);
	assert_int_equal(occurrences(page, "@import"), 0);
	free(page);
}

static int
fail_at_once(void *argument, FILE *json, struct vmt_err *err)
{
	(void)argument;
	(void)json;
	return vmt_err_set(err, ENOMEM, "no memory for it");
}

static void
test_data_that_fails_fails_the_page(void **state)
{
	struct vmt_err err = {""};
	FILE *out = fopen("/dev/null", "w");

	(void)state;
	assert_non_null(out);
	assert_int_equal(vmt_html_write(out, "x", fail_at_once, NULL, &err), -ENOMEM);
	assert_string_equal(err.text, "no memory for it");
	fclose(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_written_comes_out_again),
	    cmocka_unit_test(test_a_full_disk_is_told),
	    cmocka_unit_test(test_a_title_is_no_markup),
	    cmocka_unit_test(test_the_policy_allows_nothing_else),
	    cmocka_unit_test(test_data_that_fails_fails_the_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
