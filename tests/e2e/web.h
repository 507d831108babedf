/*
 * web.h: the page in a browser, as scripts of tests/web try it.
 *
 * Each drives Debian's Chromium by playwright-core, and ends with status 0 where all of it holds.
 */
#ifndef VMT_TESTS_WEB_H
#define VMT_TESTS_WEB_H

#include "tests/e2e/harness.h"

#include <stdio.h>

static inline void
web_run(const char *name)
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

#endif
