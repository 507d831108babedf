/*
 * test_library.c: does the library keep out of the way where it must?
 *
 * Programs that take its clock or its system calls away, jump out of handlers, exec with lists that
 * fill the stack; the vmtrace command itself; output directories with long names.
 */
#include "tests/e2e/books.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Runs a target with a bare LD_PRELOAD, every block recorded, into scratch()/NAME.vmt. */
static void
preload(struct run *run, const char *name, const char *const argv[])
{
	char library[4096];
	char output[4096];

	snprintf(library, sizeof(library), "LD_PRELOAD=%s", built("libvmtrace.so"));
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", scratch_file(name));
	run_program(run, argv, (const char *const[]){library, output, "VMTRACE_MALLOC=all", NULL});
}

static size_t
count_files(const char *pattern)
{
	glob_t found;
	size_t count = 0;

	if (glob(scratch_file(pattern), 0, NULL, &found) == 0)
		count = found.gl_pathc;
	globfree(&found);
	return count;
}

static void
run_confined(const char *how)
{
	const char *const argv[] = {built("tests/target/confined"), how, NULL};
	struct run run;

	preload(&run, "confined.%p.vmt", argv);
	if (run.exit_status != 7)
		fail_msg("%s: wait status %#x: %s", how, run.wait_status, run.err);
	assert_string_equal(run.out, "unharmed\n");
	assert_string_equal(run.err, "");
	run_free(&run);
}

/* Strict mode forbids rdtsc as well as nearly every call. */
static void
test_strict_seccomp(void **state)
{
	(void)state;
	run_confined("strict");
	run_confined("strict-syscall");
}

static void
test_counter_turned_off(void **state)
{
	(void)state;
	run_confined("tsc");
	run_confined("tsc-syscall");
}

/* A hook that was left by a jump must not be the thread's last. */
static void
test_jumps_out_of_handlers(void **state)
{
	const char *const argv[] = {built("tests/target/jump_out"), NULL};
	struct run run;

	(void)state;
	preload(&run, "jump_out.vmt", argv);
	assert_int_equal(run.exit_status, 0);
	json_t *truth = json_loads(run.out, 0, NULL);
	json_t *root =
	    report(scratch_file("jump_out.vmt"), (const char *const[]){"--at", "end", NULL});

	assert_non_null(truth);
	books_compare_sites(truth, root);
	json_decref(root);
	json_decref(truth);
	run_free(&run);
}

/* The child of a fork that happened under the loader's lock may not wait for it at its end. */
static void
test_fork_under_the_loaders_lock(void **state)
{
	const char *const argv[] = {built("tests/target/fork_under_loader"), NULL};
	struct run run;

	(void)state;
	preload(&run, "fork_under_loader.%p.vmt", argv);
	assert_int_equal(run.exit_status, 3);
	run_free(&run);
}

static void
test_long_argument_lists(void **state)
{
	static const char *const ways[] = {"execl", "execlp", "execle"};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const char *const argv[] = {built("tests/target/exec_many"), ways[i], NULL};
		struct run run;

		preload(&run, "exec_many.%p.vmt", argv);
		assert_int_equal(run.exit_status, 0);
		assert_string_equal(run.out, "100005\n");
		run_free(&run);
	}
}

/* LD_PRELOAD for a whole container: the command leaves no trace of itself, whatever its name. */
static void
test_command_is_not_recorded(void **state)
{
	char link[4096];
	struct run run;

	(void)state;
	snprintf(link, sizeof(link), "%s", scratch_file("another_name"));
	assert_int_equal(symlink(built("vmtrace"), link), 0);
	preload(&run, "itself.%p.vmt", (const char *const[]){built("vmtrace"), "--version", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	preload(&run, "itself.%p.vmt", (const char *const[]){link, "--version", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(count_files("itself.*"), 0);
	/* What it runs is recorded, once. */
	preload(&run, "itself.%p.vmt",
		(const char *const[]){built("vmtrace"), "record", "--", "/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(count_files("itself.*.vmt"), 1);
}

/* The library twice, from two places: the one that comes first records, whichever it is. */
static void
test_two_copies(void **state)
{
	const char *copy = scratch_file("libvmtrace.so");
	const char *first[] = {built("libvmtrace.so"), copy};
	char both[2 * PATH_MAX + 32];
	char output[PATH_MAX + 32];
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){"cp", built("libvmtrace.so"), copy, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", scratch_file("copies.%p.vmt"));
	for (int i = 0; i < 2; i++) {
		snprintf(both, sizeof(both), "LD_PRELOAD=%s:%s", first[i], first[!i]);
		run_program(&run, (const char *const[]){"/bin/true", NULL},
			    (const char *const[]){both, output, NULL});
		assert_int_equal(run.exit_status, 0);
		assert_string_equal(run.err, "");
		run_free(&run);
		assert_int_equal(count_files("copies.*.vmt"), i + 1);
	}
}

static void
test_long_directory_names(void **state)
{
	char name[1024];
	size_t used;
	struct run run;

	(void)state;
	used = (size_t)snprintf(name, sizeof(name), "%s", scratch());
	for (int i = 0; i < 4; i++) {
		used += (size_t)snprintf(name + used, sizeof(name) - used, "/%0200d", i);
		assert_int_equal(mkdir(name, 0700), 0);
	}
	snprintf(name + used, sizeof(name) - used, "/t.vmt");
	preload(&run, name + strlen(scratch()) + 1, (const char *const[]){"/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	json_t *root = report(name, (const char *const[]){"--at", "end", NULL});

	check_report(root);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "exit");
	assert_true(number(member(root, "snapshot"), "count") > 0);
	json_decref(root);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strict_seccomp),
	    cmocka_unit_test(test_counter_turned_off),
	    cmocka_unit_test(test_jumps_out_of_handlers),
	    cmocka_unit_test(test_fork_under_the_loaders_lock),
	    cmocka_unit_test(test_long_argument_lists),
	    cmocka_unit_test(test_command_is_not_recorded),
	    cmocka_unit_test(test_two_copies),
	    cmocka_unit_test(test_long_directory_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
