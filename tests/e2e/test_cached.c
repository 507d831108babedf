/*
 * test_cached.c: does a second report open what the first one read?
 *
 * It must say the same, whatever the cache is like, and where there is none.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char program[4300];
static char trace[4300];
static char *expected; /* the report without a cache */

/* The report with an environment; how often the program's file was opened for it. */
static unsigned
report_and_count_opens(const char *const environment[])
{
	char log[4300];
	struct run run;
	char line[8192];
	char name[4400];
	unsigned opens = 0;
	FILE *file;

	snprintf(log, sizeof(log), "%s", scratch_file("opens.log"));
	run_program(&run,
		    (const char *const[]){"strace", "-f", "-qq", "-s", "4096", "-e",
					  "trace=open,openat,openat2", "-o", log, built("vmtrace"),
					  "report", trace, NULL},
		    environment);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, expected);
	assert_string_equal(run.err, "");
	run_free(&run);
	snprintf(name, sizeof(name), "\"%s\"", program);
	file = fopen(log, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		opens += strstr(line, name) != NULL;
	fclose(file);
	return opens;
}

static void
test_a_second_report_does_not_look_into_the_program(void **state)
{
	const char *const environment[] = {"VMTRACE_CACHE=1",
					   variable("XDG_CACHE_HOME", scratch_file("kept")), NULL};

	(void)state;
	assert_true(report_and_count_opens(environment) > 0);
	assert_int_equal(report_and_count_opens(environment), 0);
	assert_int_equal(report_and_count_opens(environment), 0);
}

static void
test_it_can_be_turned_off(void **state)
{
	const char *const environment[] = {"VMTRACE_CACHE=0",
					   variable("XDG_CACHE_HOME", scratch_file("off")), NULL};

	(void)state;
	assert_true(report_and_count_opens(environment) > 0);
	assert_true(report_and_count_opens(environment) > 0);
	assert_int_equal(access(scratch_file("off"), F_OK), -1);
}

static void
test_without_a_place_there_is_none(void **state)
{
	const char *const nowhere[] = {"VMTRACE_CACHE=1", "XDG_CACHE_HOME=", "HOME=", NULL};
	const char *const unwritable[] = {"VMTRACE_CACHE=1", "XDG_CACHE_HOME=", "HOME=/proc/self",
					  NULL};
	const char *const shared[] = {
	    "VMTRACE_CACHE=1", "XDG_CACHE_HOME=", variable("HOME", scratch_file("shared")), NULL};

	(void)state;
	assert_int_equal(mkdir(scratch_file("shared"), 0700), 0);
	assert_int_equal(chmod(scratch_file("shared"), 01777), 0);
	assert_true(report_and_count_opens(nowhere) > 0);
	assert_true(report_and_count_opens(unwritable) > 0);
	assert_true(report_and_count_opens(shared) > 0);
	assert_true(report_and_count_opens(shared) > 0);
	assert_int_equal(rmdir(scratch_file("shared")), 0); /* nothing is in it */
}

/* What changed within the last two seconds is not kept: waits until that is over. */
static void
settle(void)
{
	const struct timespec pause = {0, 50000000};
	struct timespec now;
	struct stat status;
	struct stat own;

	assert_int_equal(stat(program, &status), 0);
	assert_int_equal(stat(built("vmtrace"), &own), 0);
	do {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_REALTIME, &now);
	} while (now.tv_sec < status.st_ctim.tv_sec + 4 || now.tv_sec < own.st_ctim.tv_sec + 4);
}

static int
set_up(void **state)
{
	const char *argv[4] = {0};
	struct run run;

	(void)state;
	snprintf(program, sizeof(program), "%s", scratch_file("program"));
	snprintf(trace, sizeof(trace), "%s", scratch_file("trace.vmt"));
	run_program(&run,
		    (const char *const[]){"cp", built("tests/target/cache_demo"), program, NULL},
		    NULL);
	run_free(&run);
	argv[0] = program;
	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	settle();
	run_program(&run, (const char *const[]){built("vmtrace"), "report", trace, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "cache_demo.c:"));
	expected = strdup(run.out);
	run_free(&run);
	return expected == NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_second_report_does_not_look_into_the_program),
	    cmocka_unit_test(test_it_can_be_turned_off),
	    cmocka_unit_test(test_without_a_place_there_is_none),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
