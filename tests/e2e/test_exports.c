/*
 * test_exports.c: has every export the figures of the report?
 *
 * Programs whose memory is of every class, in every way of recording; totals of each metric and of
 * each class, as the tools for which an export is made read them.
 */
#include "tests/e2e/exports.h"
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>

static const char *const *traces;
static const struct exports_subject *subjects;

static int
record_all(void **state)
{
	(void)state;
	subjects = exports_subjects;
	traces = exports_record();
	return 0;
}

static void
test_folded_adds_up(void **state)
{
	const char *path = scratch_file("stacks");

	(void)state;
	for (size_t i = 0; i < EXPORTS_SUBJECTS; i++) {
		json_t *root = report(traces[i], NULL);
		uint64_t totals[EXPORTS_METRICS];

		exports_expect(root, totals);
		assert_true(totals[6] > 0);
		for (size_t j = 0; j < EXPORTS_METRICS; j++) {
			exports_write(traces[i], "folded", path, "--metric", exports_metrics[j]);
			if (exports_sum_lines(path) != totals[j])
				fail_msg("%s: %s is %ju, not %ju", subjects[i].target,
					 exports_metrics[j], (uintmax_t)exports_sum_lines(path),
					 (uintmax_t)totals[j]);
		}
		json_decref(root);
	}
}

/* Frames that are there, and as many weights as stacks. */
static void
check_samples(json_t *profile, size_t frames, uint64_t total)
{
	json_t *samples = json_object_get(profile, "samples");
	json_t *weights = json_object_get(profile, "weights");
	uint64_t sum = 0;

	assert_int_equal(json_array_size(samples), json_array_size(weights));
	for (size_t i = 0; i < json_array_size(samples); i++) {
		json_t *stack = json_array_get(samples, i);

		assert_true(json_array_size(stack) > 0);
		for (size_t j = 0; j < json_array_size(stack); j++)
			assert_in_range(json_integer_value(json_array_get(stack, j)), 0,
					frames - 1);
		sum += (uint64_t)json_integer_value(json_array_get(weights, i));
	}
	assert_int_equal(sum, total);
	assert_int_equal(json_integer_value(json_object_get(profile, "endValue")), total);
}

static void
test_speedscope_adds_up(void **state)
{
	const char *path = scratch_file("speedscope.json");

	(void)state;
	for (size_t i = 0; i < EXPORTS_SUBJECTS; i++) {
		json_t *root = report(traces[i], NULL);
		uint64_t totals[EXPORTS_METRICS];
		json_t *profiles;
		json_t *document;
		size_t frames;

		exports_expect(root, totals);
		exports_write(traces[i], "speedscope", path, NULL, NULL);
		document = json_load_file(path, 0, NULL);
		assert_non_null(document);
		profiles = json_object_get(document, "profiles");
		frames =
		    json_array_size(json_object_get(json_object_get(document, "shared"), "frames"));
		assert_int_equal(json_array_size(profiles), EXPORTS_METRICS);
		for (size_t j = 0; j < EXPORTS_METRICS; j++) {
			json_t *profile = json_array_get(profiles, j);

			assert_string_equal(json_string_value(json_object_get(profile, "name")),
					    exports_metrics[j]);
			check_samples(profile, frames, totals[j]);
		}
		json_decref(document);
		json_decref(root);
	}
}

/* As a browser shows it. */
static void
test_speedscope_reads_it(void **state)
{
	const char *const argv[] = {
	    "node", "tests/web/speedscope.mjs", built("vmtrace"), scratch(), traces[0], NULL};
	struct run run;

	(void)state;
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		print_error("%s%s", run.out, run.err);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static void
test_wrong_words(void **state)
{
	static const struct {
		const char *option;
		const char *value;
		const char *message;
	} wrong[] = {
	    {"--format", "ppro", "pprof"},
	    {"--format", "svg", "speedscope"},
	    {"--metric", "committed", "committed_space"},
	    {"--metric", "alloc_space", "does not go with --format text"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const char *const argv[] = {built("vmtrace"), "report",	      traces[0],
					    wrong[i].option,  wrong[i].value, NULL};
		struct run run;

		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 2);
		assert_string_equal(run.out, "");
		assert_non_null(says(run.err, wrong[i].message));
		run_free(&run);
	}
}

/* What a format can't do is refused, not left out. */
static void
test_options_that_do_not_go_together(void **state)
{
	static const char *const options[][2] = {{"--top", "3"},    {"--sort", "gap"},
						 {"--frames", "2"}, {"--focus", "arena"},
						 {"--match", "x"},  {"--ignore", "x"}};

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		const char *const argv[] = {built("vmtrace"), "report", traces[0],
					    "--format",	      "folded", options[i][0],
					    options[i][1],    NULL};
		struct run run;

		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 2);
		assert_string_equal(run.out, "");
		assert_non_null(says(run.err, options[i][0]));
		assert_non_null(says(run.err, "does not go with --format folded"));
		run_free(&run);
	}
}

/* script(1) gives its command a terminal, and shows what that wrote. */
static void
test_a_terminal_is_spared(void **state)
{
	static const char *const formats[] = {"pprof", "perfetto"};

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		char command[8192];
		const char *const argv[] = {"script", "-qec", command, "/dev/null", NULL};
		struct run run;

		snprintf(command, sizeof(command), "'%s' report '%s' --format %s", built("vmtrace"),
			 traces[0], formats[i]);
		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 2);
		assert_non_null(says(run.out, "not for a terminal"));
		assert_true(run.out_bytes < 200);
		run_free(&run);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_folded_adds_up),
	    cmocka_unit_test(test_speedscope_adds_up),
	    cmocka_unit_test(test_speedscope_reads_it),
	    cmocka_unit_test(test_wrong_words),
	    cmocka_unit_test(test_options_that_do_not_go_together),
	    cmocka_unit_test(test_a_terminal_is_spared),
	};

	return cmocka_run_group_tests(tests, record_all, NULL);
}
