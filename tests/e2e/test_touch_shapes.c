/*
 * test_touch_shapes.c: are loops, short threads and short children told rightly by one fault in 61?
 */
#include "tests/e2e/fault_events.h"
#include "tests/e2e/identities.h"
#include "tests/soak.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE INT64_C(4096)
#define LOOP_PAGES 61
#define FIRST_PAGES 12
#define THREAD_PAGES 20
#define OWN_PAGES 2000

/* Records to the end, at period 61. */
static void
record_shape(const char *trace, const char *kind, long count)
{
	struct conversation talk;
	char text[16];

	snprintf(text, sizeof(text), "%ld", count);
	converse_start(&talk,
		       (const char *const[]){built("vmtrace"), "record", "--touch", "61", "-o",
					     trace, "--", built("tests/target/touch_shapes"), kind,
					     text, NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	assert_string_equal(talk.line, "done");
	assert_int_equal(write(talk.to, "\n", 1), 1);
	assert_int_equal(converse_end(&talk), 0);
}

/* Both are of one stack each: were the period 61 all the time, one would have everything. */
static void
a_loop_of_61_pages_is_shared_out(void **state)
{
	const char *trace = scratch_file("loop.vmt");
	const long loops = soak_count(1000, 4000);
	int64_t first = loops * FIRST_PAGES * PAGE;
	json_t *root;

	(void)state;
	if (lacks_events())
		skip();
	record_shape(trace, "loop", loops);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	check_report(root);
	identities_check(root, "loop");
	assert_in_range(committed_by(root, "first_pages"), first / 2, first * 2);
	assert_true(committed_by(root, "other_pages") > committed_by(root, "first_pages"));
	assert_true(number(member(root, "touch"), "least_period") <
		    number(member(root, "touch"), "most_period"));
	json_decref(root);
}

static bool
is_said(json_t *root, const char *words)
{
	json_t *spots = member(member(root, "coverage"), "blind_spots");

	for (size_t i = 0; i < json_array_size(spots); i++)
		if (strstr(json_string_value(json_array_get(spots, i)), words))
			return true;
	return false;
}

/* Each thread has an event of its own, which counts from zero: none comes to 61. */
static void
short_threads_are_counted(void **state)
{
	const char *trace = scratch_file("threads.vmt");
	const long threads = soak_count(500, 10000);
	int64_t all = threads * THREAD_PAGES;
	json_t *root, *touch;

	(void)state;
	if (lacks_events())
		skip();
	record_shape(trace, "threads", threads);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	check_report(root);
	identities_check(root, "threads");
	touch = member(root, "touch");
	assert_int_equal(site_sum(root, "mmap", "reserve_region", "committed_bytes"),
			 (all + OWN_PAGES) * PAGE);
	assert_in_range(site_sum(root, "mmap", "reserve_region", "unsampled_bytes"),
			all * PAGE * 9 / 10, all * PAGE * 11 / 10);
	assert_in_range(committed_by(root, "other_pages"), OWN_PAGES * PAGE * 8 / 10,
			OWN_PAGES * PAGE * 12 / 10);
	assert_int_equal(committed_by(root, "first_pages"), 0);
	assert_true(number(touch, "unsampled_faults") >= all * 9 / 10);
	assert_true(number(touch, "minor_faults") >= all);
	assert_true(is_said(root, "are in no sample: a thread of fewer than"));
	json_decref(root);
}

/* Each has a trace of its own, or none; none has samples of another's. */
static void
short_children_are_told_apart(void **state)
{
	const long children = soak_count(20, 200);
	char pattern[4096];
	glob_t found;

	(void)state;
	if (lacks_events())
		skip();
	record_shape(scratch_file("prefork.%p.vmt"), "prefork", children);
	snprintf(pattern, sizeof(pattern), "%s/prefork.*.vmt", scratch());
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		json_t *root = report(found.gl_pathv[i], NULL);
		json_t *touch = member(root, "touch");

		check_report(root);
		identities_check(root, found.gl_pathv[i]);
		if (json_is_integer(member(touch, "minor_faults")))
			assert_true(number(touch, "samples") <=
				    number(touch, "minor_faults") / 50 + 1);
		json_decref(root);
	}
	assert_true(found.gl_pathc >= 1);
	globfree(&found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_loop_of_61_pages_is_shared_out),
	    cmocka_unit_test(short_threads_are_counted),
	    cmocka_unit_test(short_children_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
