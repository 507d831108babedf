/*
 * test_truth.c: is a report true of any program of the map family?
 *
 * tests/target/random_maps.c is another program for each seed. 30 of them in the check, 1,000 in
 * the long form; VMT_SEED=N runs that one alone.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/observe.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>

static void
test_random_programs(void **state)
{
	const char *one = getenv("VMT_SEED");
	long last = soak_count(30, 1000);

	(void)state;
	if (one != NULL) {
		observe("random_maps", one);
		return;
	}
	for (long seed = 1; seed <= last; seed++) {
		char argument[16];

		snprintf(argument, sizeof(argument), "%ld", seed);
		print_message("seed %s\n", argument);
		observe("random_maps", argument);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_programs)};

	return cmocka_run_group_tests_name("truth", tests, NULL, NULL);
}
