/*
 * test_page_any.c: does the page of an HTML report hold for any reader, and for any trace?
 */
#include "tests/e2e/web.h"

static void
test_accessibility(void **state)
{
	(void)state;
	web_run("accessibility.mjs");
}

static void
test_hostile_names(void **state)
{
	(void)state;
	web_run("hostile.mjs");
}

static void
test_a_hundred_thousand_stacks(void **state)
{
	(void)state;
	web_run("large.mjs");
}

static void
test_trees_of_processes(void **state)
{
	(void)state;
	web_run("tree.mjs");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accessibility),
	    cmocka_unit_test(test_hostile_names),
	    cmocka_unit_test(test_a_hundred_thousand_stacks),
	    cmocka_unit_test(test_trees_of_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
