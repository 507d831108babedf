/*
 * test_static_bounds.c: does a program that loads no library live as bare within its bounds?
 *
 * A limit of its address space, and a filter of its system calls: what the recorder can't do then
 * is given up or left out, and said.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define OWN_PIECES 64 /* of 64 KiB: the recorder's code and tables, as a library has them */

static const char *
link_static(const char *compiler)
{
	const char *program = scratch_file("static_bounds");
	const char *const argv[] = {compiler,
				    "-static",
				    "-O1",
				    "-D_GNU_SOURCE",
				    "-o",
				    program,
				    "tests/target/static_bounds.c",
				    NULL};
	struct run run;

	need_program(compiler);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return program;
}

static long
pieces_of(const struct run *run)
{
	assert_int_equal(run->exit_status, 0);
	return strtol(run->out, NULL, 10);
}

/* Where the limit is reached the recorder's memory goes, and the call is made again. */
static void
check_limit(const char *program, const char *kib)
{
	const char *const argv[] = {program, "limit", kib, NULL};
	struct run bare;
	struct run recorded;

	run_program(&bare, argv, NULL);
	record(&recorded, scratch_file("bounds.vmt"), NULL, argv);
	assert_in_range(pieces_of(&recorded), pieces_of(&bare) - OWN_PIECES, pieces_of(&bare));
	run_free(&bare);
	run_free(&recorded);
}

static void
test_limit_of_address_space(void **state)
{
	const char *program = link_static("gcc");
	json_t *root;

	(void)state;
	check_limit(program, "16000");
	check_limit(program, "64000");
	root = report(scratch_file("bounds.vmt"), NULL);
	assert_non_null(find_site(root, "mmap", "take", 40));
	json_decref(root);
}

static bool
has_blind_spot(json_t *root, const char *words)
{
	size_t index;
	json_t *spot;

	json_array_foreach(member(member(root, "coverage"), "blind_spots"), index, spot)
	{
		if (strstr(json_string_value(spot), words))
			return true;
	}
	return false;
}

static void
test_filter(void **state)
{
	const char *const argv[] = {link_static("gcc"), "filter", NULL};
	struct run run;
	json_t *root;

	(void)state;
	record(&run, scratch_file("filter.vmt"), NULL, argv);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "went on\n");
	run_free(&run);
	root = report(scratch_file("filter.vmt"), NULL);
	assert_true(has_blind_spot(root, " raw system calls were not recorded"));
	assert_non_null(find_site(root, "mmap", "take", 40));
	assert_true(has_blind_spot(root, "the program installed a seccomp filter"));
	json_decref(root);
}

/* The command runs where nobody may do what puts the recorder into a program. */
static void
check_forbidden(long number)
{
	char text[32];
	const char *const argv[] = {
	    built("tests/target/without_call"),
	    text,
	    built("vmtrace"),
	    "record",
	    "-o",
	    scratch_file("forbidden.vmt"),
	    "--",
	    built("tests/target/static_successor"),
	    NULL,
	};
	struct run run;

	snprintf(text, sizeof(text), "%ld", number);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 37);
	assert_non_null(strstr(run.err, "is not recorded: it may not be traced"));
	run_free(&run);
}

static void
test_tracing_is_forbidden(void **state)
{
	(void)state;
	check_forbidden(SYS_ptrace);
	check_forbidden(SYS_process_vm_readv);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limit_of_address_space),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_tracing_is_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
