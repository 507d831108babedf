/*
 * test_short_lived.c: which blocks are live at the end, which were freed at once, by the program's
 * own books?
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS 5

/* A line of what the target says. */
struct truth {
	char function[32];
	int64_t blocks;
	int64_t temporary;
	int64_t live;
	int64_t live_bytes;
};

static void
read_truths(const char *text, struct truth truths[FUNCTIONS])
{
	for (int i = 0; i < FUNCTIONS; i++) {
		long long figures[4];

		assert_int_equal(sscanf(text, "%31s %lld %lld %lld %lld", truths[i].function,
					&figures[0], &figures[1], &figures[2], &figures[3]),
				 5);
		truths[i].blocks = figures[0];
		truths[i].temporary = figures[1];
		truths[i].live = figures[2];
		truths[i].live_bytes = figures[3];
		text = strchr(text, '\n') + 1;
	}
}

/* Records the target; what it says of itself. */
static void
record_target(const char *trace, const char *mode, struct truth truths[FUNCTIONS])
{
	const char *const options[] = {"--malloc", mode, NULL};
	const char *const argv[] = {built("tests/target/short_lived"), NULL};
	struct run run;

	record(&run, trace, options, argv);
	assert_int_equal(run.exit_status, 0);
	read_truths(run.out, truths);
	run_free(&run);
}

static char *
report_text(const char *trace)
{
	const char *const argv[] = {built("vmtrace"), "report", trace, NULL};
	struct run run;
	char *text;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	text = strdup(run.out);
	run_free(&run);
	return text;
}

static void
all_blocks_are_as_the_program_says(void **state)
{
	const char *trace = scratch_file("all.vmt");
	const char *const options[] = {"--sort", "leaked", NULL};
	struct truth truths[FUNCTIONS];
	json_t *doc;
	char *text;

	(void)state;
	record_target(trace, "all", truths);
	doc = report(trace, options);
	for (int i = 0; i < FUNCTIONS; i++) {
		const char *function = truths[i].function;

		assert_int_equal(site_sum(doc, NULL, function, "count"), truths[i].blocks);
		assert_int_equal(site_sum(doc, NULL, function, "temporary_count"),
				 truths[i].temporary);
		assert_int_equal(site_sum(doc, NULL, function, "end_count"), truths[i].live);
		assert_int_equal(site_sum(doc, NULL, function, "end_bytes"), truths[i].live_bytes);
	}
	/* What leaks most is the first. */
	assert_int_equal(number(json_array_get(member(doc, "sites"), 0), "end_count"),
			 truths[2].live);
	text = report_text(trace);
	assert_non_null(says(text, "\n    301 KiB           250  malloc leak short_lived.c:"));
	assert_non_null(says(text, "\n      5,000  100 %         malloc churn short_lived.c:"));
	assert_non_null(says(text, "\n        300  100 %         malloc pair short_lived.c:"));
	assert_non_null(says(text, "  Temporary: 10,321 of 11,"));
	free(text);
	json_decref(doc);
}

/* Between two sampled blocks of a thread there may be others: nobody can know. */
static void
of_samples_it_is_not_known(void **state)
{
	const char *trace = scratch_file("sampled.vmt");
	struct truth truths[FUNCTIONS];
	size_t index;
	json_t *site;
	json_t *doc;
	char *text;

	(void)state;
	record_target(trace, "sampled", truths);
	doc = report(trace, NULL);
	json_array_foreach(member(doc, "sites"), index, site)
	    assert_true(json_is_null(member(site, "temporary_count")));
	json_decref(doc);
	text = report_text(trace);
	assert_non_null(says(text, "Temporary blocks: not known"));
	assert_null(says(text, "Temporary: "));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_blocks_are_as_the_program_says),
	    cmocka_unit_test(of_samples_it_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
