#include "tools/render/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct vmt_layout utf8 = {.columns = 20, .utf8 = true};
static const struct vmt_layout ascii = {.columns = 20};

static void
long_names_lose_their_middle(void **state)
{
	char result[64];

	(void)state;
	assert_string_equal(vmt_layout_shorten(&utf8, result, sizeof(result), "abcdefghij", 10),
			    "abcdefghij");
	assert_string_equal(vmt_layout_shorten(&utf8, result, sizeof(result), "abcdefghij", 7),
			    "abc\xe2\x80\xa6hij");
	assert_string_equal(vmt_layout_shorten(&ascii, result, sizeof(result), "abcdefghij", 7),
			    "abc..ij");
	assert_string_equal(vmt_layout_shorten(&ascii, result, sizeof(result), "abcdefghij", 1),
			    "a");
	assert_string_equal(vmt_layout_shorten(&ascii, result, sizeof(result), "abcdefghij", 0),
			    "");
	/* Cut at the buffer's end as well, never inside a character. */
	assert_string_equal(vmt_layout_shorten(&utf8, result, 4, "a\xc3\xa4\xc3\xa4", 10),
			    "a\xc3\xa4");
}

static void
widths_count_columns(void **state)
{
	(void)state;
	assert_int_equal(vmt_layout_width(&utf8, ""), 0);
	assert_int_equal(vmt_layout_width(&utf8, "a\xc3\xa4"), 2);
	assert_int_equal(vmt_layout_width(&ascii, "a\xc3\xa4"), 2);
	assert_int_equal(vmt_layout_width(&utf8, "\xe6\xbc\xa2"), 2);
	/* broken: each byte is one '?' */
	assert_int_equal(vmt_layout_width(&utf8, "\xff\xc3"), 2);
	assert_int_equal(vmt_layout_width(&utf8, "\xed\xa0\x80"), 3);
	assert_int_equal(vmt_layout_width(&utf8, "\xc0\x80"), 2);
	assert_int_equal(vmt_layout_width(&utf8, "\xf4\x90\x80\x80"), 4);
}

static char *
wrap(struct vmt_layout layout, const char *text, size_t indent)
{
	char *result = NULL;
	size_t bytes;

	layout.out = open_memstream(&result, &bytes);
	assert_non_null(layout.out);
	vmt_layout_wrap(&layout, VMT_STYLE_DIM, text, indent);
	vmt_layout_line(&layout, VMT_STYLE_ALARM, "%s|", text);
	fclose(layout.out);
	return result;
}

static void
words_break_at_blanks_and_long_ones_anywhere(void **state)
{
	char *text = wrap(utf8, "one two three four five sixsixsixsixsixsixsixsixsix", 2);

	(void)state;
	assert_string_equal(text, "one two three four\n"
				  "  five\n"
				  "  sixsixsixsixsixsix\n"
				  "  sixsixsix\n"
				  "one two three four f\n");
	free(text);
}

static void
styles_are_codes_on_a_terminal_alone(void **state)
{
	struct vmt_layout layout = utf8;
	char *text;

	(void)state;
	layout.color = true;
	text = wrap(layout, "a\033b", 0);
	assert_string_equal(text, "\033[2ma?b\033[0m\n\033[1;31ma?b|\033[0m\n");
	free(text);
}

static void
what_steers_a_terminal_is_not_written(void **state)
{
	static const char *const harmful[] = {"\033",	      "\x07",	     "\r",
					      "\x7f",	      "\xc2\x9b",    "\xe2\x80\xae",
					      "\xe2\x81\xa6", "\xef\xbb\xbf"};
	char result[16];

	(void)state;
	for (size_t i = 0; i < sizeof(harmful) / sizeof(*harmful); i++)
		assert_string_equal(
		    vmt_layout_shorten(&utf8, result, sizeof(result), harmful[i], 10), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(long_names_lose_their_middle),
	    cmocka_unit_test(widths_count_columns),
	    cmocka_unit_test(words_break_at_blanks_and_long_ones_anywhere),
	    cmocka_unit_test(styles_are_codes_on_a_terminal_alone),
	    cmocka_unit_test(what_steers_a_terminal_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
