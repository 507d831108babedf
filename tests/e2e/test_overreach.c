/*
 * test_overreach.c: is a program unharmed that lays hands on memory which is not its own?
 *
 * It takes access, pages or a fork child's share away from all mappings that it did not make, or
 * maps its own where the recorder might lie. What it says, and how it ends, is as without us.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>

static const char *const ways[] = {"none",   "readonly", "dontneed",   "free",
				   "remove", "dontfork", "wipeonfork", "keeponfork"};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void
check_same(const char *const argv[])
{
	struct run bare;
	struct run recorded;

	run_program(&bare, argv, NULL);
	assert_int_equal(bare.exit_status, 0);
	record(&recorded, scratch_file("overreach.vmt"), NULL, argv);
	assert_int_equal(recorded.exit_status, 0);
	assert_string_equal(recorded.out, bare.out);
	assert_null(strstr(recorded.err, "not recorded"));
	run_free(&recorded);
	run_free(&bare);
}

/* Later calls, and those of the fork child, are in traces: nothing was given up. */
static void
check_recorded(void)
{
	json_t *root = report(scratch_file("overreach.vmt"), NULL);
	json_t *site;
	int64_t calls = 0;
	size_t index;

	json_array_foreach(member(root, "sites"), index, site)
	{
		if (strcmp(json_string_value(member(site, "kind")), "mmap") == 0)
			calls += number(site, "count");
	}
	assert_true(calls >= 3000);
	json_decref(root);
}

static void
link_static(const char *compiler, const char *flag, unsigned pad)
{
	char padding[32];
	const char *const argv[] = {compiler,
				    flag,
				    "-O1",
				    "-D_GNU_SOURCE",
				    padding,
				    "-o",
				    scratch_file("program"),
				    "tests/target/overreach.c",
				    NULL};
	struct run run;

	need_program(compiler);
	snprintf(padding, sizeof(padding), "-DPAD=%u", pad);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static void
test_what_a_library_has(void **state)
{
	(void)state;
	for (size_t i = 0; i < WAYS; i++) {
		check_same((const char *const[]){built("tests/target/overreach"), ways[i], NULL});
		check_recorded();
	}
}

static void
check_static(const char *compiler, const char *flag, size_t step)
{
	link_static(compiler, flag, 0);
	for (size_t i = 0; i < WAYS; i += step) {
		check_same((const char *const[]){scratch_file("program"), ways[i], "static", NULL});
		check_recorded();
	}
}

static void
test_what_a_static_program_has(void **state)
{
	(void)state;
	check_static("gcc", "-static", 1);
}

static void
test_what_a_position_independent_one_has(void **state)
{
	(void)state;
	check_static("gcc", "-static-pie", 3);
}

static void
test_what_one_of_musl_has(void **state)
{
	(void)state;
	check_static("musl-gcc", "-static", 2);
}

/* Wherever its code ends in its last page. */
static void
check_below(const char *compiler)
{
	for (unsigned pad = 0; pad < 4096; pad += 2048) {
		link_static(compiler, "-static", pad);
		check_same((const char *const[]){scratch_file("program"), "below", "static", NULL});
		check_same((const char *const[]){scratch_file("program"), "over", "static", NULL});
	}
}

static void
test_maps_below_itself(void **state)
{
	(void)state;
	check_below("gcc");
}

static void
test_maps_below_itself_with_musl(void **state)
{
	(void)state;
	check_below("musl-gcc");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_a_library_has),
	    cmocka_unit_test(test_what_a_static_program_has),
	    cmocka_unit_test(test_what_a_position_independent_one_has),
	    cmocka_unit_test(test_what_one_of_musl_has),
	    cmocka_unit_test(test_maps_below_itself),
	    cmocka_unit_test(test_maps_below_itself_with_musl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
