/*
 * test_within.c: does a program that is difficult from within live as it would alone?
 *
 * Cancelled threads, faults that handlers repair, signals that others keep away from, processes
 * that must have one thread; code and stacks that no walker knows; a thread that holds the loader
 * or a fork up while others allocate. Each keeps books (tests/target/truth.h) or says what it saw.
 */
#include "tests/e2e/books.h"
#include "tests/soak.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Under the bare library, every block recorded; the books must stand in the trace. */
static json_t *
watch(const char *program, const char *argument, const char *option)
{
	char target[256];
	char output[4096];
	char pattern[4096];
	const char *const *library = preloaded("");
	struct run run;

	snprintf(target, sizeof(target), "tests/target/%s", program);
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s/%s.%%p.vmt", scratch(), program);
	snprintf(pattern, sizeof(pattern), "%s/%s.*.vmt", scratch(), program);
	run_program(&run, (const char *const[]){built(target), argument, NULL},
		    (const char *const[]){library[0], output, "VMTRACE_MALLOC=all", option, NULL});
	if (run.exit_status != 0)
		fail_msg("%s ended with %x: %s%s", program, (unsigned)run.wait_status, run.out,
			 run.err);
	assert_string_equal(run.err, "");
	json_t *truth = json_loads(run.out, 0, NULL);

	assert_non_null(truth);
	json_t *root = report_of_pid(pattern, number(truth, "pid"));

	check_report(root);
	books_compare_sites(truth, root);
	json_decref(root);
	run_free(&run);
	return member(truth, "figures");
}

static void
test_cancelled(void **state)
{
	char threads[16];

	(void)state;
	snprintf(threads, sizeof(threads), "%ld", soak_count(200, 20000));
	watch("cancelled", threads, NULL);
}

static void
test_signals(void **state)
{
	(void)state;
	for (long i = soak_count(1, 100); i > 0; i--) {
		json_t *figures = watch("signal_users", NULL, NULL);

		assert_int_equal(number(figures, "repaired"), 300);
		assert_int_equal(number(figures, "trapped"), 100);
		assert_int_equal(number(figures, "waited"), 100);
		figures = watch("signal_users", "filter", NULL);
		assert_int_equal(number(figures, "emulated"), 100);
	}
}

static void
test_loader_held(void **state)
{
	char plugin[PATH_MAX];

	(void)state;
	snprintf(plugin, sizeof(plugin), "%s", built("tests/target/plugin_waiting"));
	for (long i = soak_count(1, 100); i > 0; i--) {
		watch("loader_held", plugin, NULL);
		watch("loader_held", plugin, "VMTRACE_STACKS=fp");
	}
}

static void
test_strange_code(void **state)
{
	(void)state;
	for (long i = soak_count(1, 100); i > 0; i--) {
		watch("strange_code", NULL, NULL);
		watch("strange_code", NULL, "VMTRACE_STACKS=fp");
		watch("strange_code", NULL, "VMTRACE_DEPTH=128");
	}
}

static void
test_single_thread(void **state)
{
	const char *const argv[] = {built("tests/target/single_thread"), NULL};
	struct run bare;
	struct run watched;

	(void)state;
	run_program(&bare, argv, NULL);
	run_program(&watched, argv, preloaded(scratch_file("single.%p.vmt")));
	assert_int_equal(bare.exit_status, 24);
	assert_int_equal(watched.wait_status, bare.wait_status);
	assert_string_equal(watched.out, bare.out);
	assert_string_equal(watched.err, bare.err);
	run_free(&bare);
	run_free(&watched);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cancelled),	  cmocka_unit_test(test_signals),
	    cmocka_unit_test(test_loader_held),	  cmocka_unit_test(test_strange_code),
	    cmocka_unit_test(test_single_thread),
	};

	return cmocka_run_group_tests_name("life within", tests, NULL, NULL);
}
