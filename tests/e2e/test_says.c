/* Does the tests' own search find a sentence wherever it wraps, and nothing else? */
#include "tests/e2e/harness.h"

static void
a_sentence_is_found_where_it_wraps(void **state)
{
	const char *text = "RSS 1 MiB: 85 MiB mapped by\n  mmap (68 %)\n\nThe next";

	(void)state;
	assert_ptr_equal(says(text, "mapped by mmap (68 %)"), text + 18);
	assert_ptr_equal(says(text, "mapped"), text + 18);
	assert_non_null(says(text, "by\n  mmap"));
}

static void
other_words_are_not_found(void **state)
{
	const char *text = "RSS 1 MiB: 85 MiB mapped by\n  mmap (68 %)\n\nThe next";

	(void)state;
	assert_null(says(text, "mappedby"));
	assert_null(says(text, "mapped  by"));
	assert_null(says(text, "mapped by map"));
	assert_null(says(text, "(68 %) The next"));
	assert_null(says(text, "The next one"));
	assert_null(says("", "a"));
	assert_non_null(says("", ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_sentence_is_found_where_it_wraps),
	    cmocka_unit_test(other_words_are_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
