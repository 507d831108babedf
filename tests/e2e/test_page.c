/*
 * test_page.c: does the page of an HTML report, in a browser, do what it should and nothing else?
 *
 * Each case is a script of tests/web, which drives Debian's Chromium by playwright-core.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>

static void
run_script(const char *name)
{
	char script[256];
	struct run run;

	snprintf(script, sizeof(script), "tests/web/%s", name);
	const char *const argv[] = {"node", script, built("vmtrace"), scratch(), NULL};

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		print_error("%s:\n%s%s\n", name, run.out, run.err);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static void
test_click_paths(void **state)
{
	(void)state;
	run_script("click_paths.mjs");
}

static void
test_figures_of_text_json_and_page(void **state)
{
	(void)state;
	run_script("figures.mjs");
}

static void
test_accessibility(void **state)
{
	(void)state;
	run_script("accessibility.mjs");
}

static void
test_hostile_names(void **state)
{
	(void)state;
	run_script("hostile.mjs");
}

static void
test_a_hundred_thousand_stacks(void **state)
{
	(void)state;
	run_script("large.mjs");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_click_paths),
	    cmocka_unit_test(test_figures_of_text_json_and_page),
	    cmocka_unit_test(test_accessibility),
	    cmocka_unit_test(test_hostile_names),
	    cmocka_unit_test(test_a_hundred_thousand_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
