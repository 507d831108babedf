/*
 * test_page.c: does the page of an HTML report say what the report says, to a person and by the
 * paths of a person?
 */
#include "tests/e2e/web.h"

static void
test_click_paths(void **state)
{
	(void)state;
	web_run("click_paths.mjs");
}

static void
test_figures_of_text_json_and_page(void **state)
{
	(void)state;
	web_run("figures.mjs");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_click_paths),
	    cmocka_unit_test(test_figures_of_text_json_and_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
