/*
 * test_ranges.c: do calls with ranges of any kind answer as without us, and end?
 *
 * Ranges beyond the address space, sums that wrap, releases of nothing, and a program that unmaps
 * what is the tracer's.
 */
#include "tests/e2e/harness.h"

#include <string.h>

static const char *const modes[] = {"VMTRACE_MALLOC=off", "VMTRACE_MALLOC=sampled",
				    "VMTRACE_MALLOC=all"};

/* Runs a target bare and under the library in every mode: same output, same end. */
static void
compare(const char *target, const char *argument)
{
	const char *const argv[] = {built(target), argument, NULL};
	struct run bare;

	run_program(&bare, argv, NULL);
	assert_int_equal(bare.exit_status, 0);
	for (size_t mode = 0; mode < 3; mode++) {
		const char *environment[8] = {modes[mode]};
		const char *const *preload = preloaded(scratch_file("ranges.%p.vmt"));
		struct run run;

		for (size_t i = 0; i < 6 && preload[i] != NULL; i++)
			environment[i + 1] = preload[i];
		run_program(&run, argv, environment);
		assert_int_equal(run.exit_status, 0);
		assert_string_equal(run.out, bare.out);
		run_free(&run);
	}
	run_free(&bare);
}

static void
test_odd_ranges(void **state)
{
	struct run run;
	json_t *events;
	json_t *event;
	size_t i;

	(void)state;
	compare("tests/target/odd_ranges", NULL);
	record(&run, scratch_file("odd.vmt"), NULL,
	       (const char *const[]){built("tests/target/odd_ranges"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	events = dump(scratch_file("odd.vmt"), "event");
	json_array_foreach(events, i, event)
	{
		json_t *length = json_object_get(event, "length");

		assert_true(json_integer_value(length) >= 0 &&
			    json_integer_value(length) < (json_int_t)1 << 57);
	}
	json_decref(events);
	check_report(report(scratch_file("odd.vmt"), NULL));
}

static bool
is_estimate(json_t *event)
{
	return json_is_true(json_object_get(event, "committed_is_estimate"));
}

/* Where the answer is exact it says so, where it is about it says that. */
static void
test_nothing_released(void **state)
{
	json_t *events;
	json_t *event;
	size_t i;
	unsigned seen[3] = {0, 0, 0};
	struct run run;

	(void)state;
	compare("tests/target/nothing_released", "100");
	record(&run, scratch_file("nothing.vmt"), NULL,
	       (const char *const[]){built("tests/target/nothing_released"), "1", NULL});
	run_free(&run);
	events = dump(scratch_file("nothing.vmt"), "event");
	json_array_foreach(events, i, event)
	{
		int64_t length = json_integer_value(json_object_get(event, "length"));
		const char *kind = json_string_value(member(event, "kind"));

		if (strcmp(kind, "MUNMAP") != 0)
			continue;
		if (length == (int64_t)1 << 30 && !is_estimate(event))
			seen[0] += number(event, "committed_bytes") == 0; /* 1st: untouched */
		if (length == (int64_t)1 << 40)
			seen[1] += is_estimate(event);
		if (length == (int64_t)16 << 20)
			seen[2] +=
			    !is_estimate(event) && number(event, "committed_bytes") >= 8 * 4096;
	}
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 1);
	assert_int_equal(seen[2], 1);
	json_decref(events);
	run_program(
	    &run,
	    (const char *const[]){built("vmtrace"), "report", scratch_file("nothing.vmt"), NULL},
	    NULL);
	assert_non_null(says(run.out, "so that their committed bytes are"));
	assert_non_null(says(run.out, "~ = partly estimated"));
	run_free(&run);
}

static void
test_unmap_all(void **state)
{
	struct run run;

	(void)state;
	compare("tests/target/unmap_all", "pages");
	compare("tests/target/unmap_all", "whole");
	compare("tests/target/unmap_all", "child");
	compare("tests/target/unmap_all", "everything");
	record(&run, scratch_file("unmapped.vmt"), NULL,
	       (const char *const[]){built("tests/target/unmap_all"), NULL});
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "went on"));
	run_free(&run);
	run_program(
	    &run,
	    (const char *const[]){built("vmtrace"), "report", scratch_file("unmapped.vmt"), NULL},
	    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "the program unmapped the trace"));
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_odd_ranges),
	    cmocka_unit_test(test_nothing_released),
	    cmocka_unit_test(test_unmap_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
