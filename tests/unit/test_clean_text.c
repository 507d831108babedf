/* Names as other tools can take them. */
#include "tools/export/clean_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
expect(const char *text, const char *separators, const char *expected)
{
	char result[VMT_CLEAN_TEXT_BYTES];

	assert_string_equal(vmt_clean_text_copy(result, text, separators), expected);
}

static void
test_what_is_kept(void **state)
{
	(void)state;
	expect("std::vector<int>::push_back(int&&)", ";", "std::vector<int>::push_back(int&&)");
	expect("größe\xf0\x9f\x90\x98", "", "größe\xf0\x9f\x90\x98");
	expect("", ";", "");
	expect(NULL, ";", "");
}

static void
test_what_is_replaced(void **state)
{
	(void)state;
	expect("a;b c", ";", "a:b c");
	expect("a;b c", "; ", "a:b:c");
	expect("a\nb\tc\033[31m\x7f", "", "a?b?c?[31m?");
	expect("\xff\xc3(x", "", "?\?(x");
	expect("a\xe2\x80\xae"
	       "b",
	       "", "a?b");
}

/* Never in the middle of a character. */
static void
test_long_names_are_cut(void **state)
{
	char text[2 * VMT_CLEAN_TEXT_BYTES];
	char result[VMT_CLEAN_TEXT_BYTES];
	size_t length = 0;

	(void)state;
	while (length + 2 < sizeof(text)) {
		memcpy(text + length, "\xc3\xbc", 2);
		length += 2;
	}
	text[length] = '\0';
	vmt_clean_text_copy(result, text, "");
	assert_int_equal(strlen(result), VMT_CLEAN_TEXT_BYTES - 2);
	assert_memory_equal(result, text, strlen(result));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_kept),
	    cmocka_unit_test(test_what_is_replaced),
	    cmocka_unit_test(test_long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
