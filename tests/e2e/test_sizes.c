/*
 * test_sizes.c: how much disk does a recording take?
 *
 * The trace of a small process is small when it has ended, and says what it said. Traces of small
 * processes are removed where that is asked for, down to a number of files where that is; those of
 * fork children that did nothing always. Each is counted.
 */
#include "tests/e2e/living.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHILDREN "8"

static size_t
count_traces(const char *pattern)
{
	glob_t found;
	size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;

	globfree(&found);
	return count;
}

/* Files of a directory, all of them removed; fails on one that is not a trace. */
static int
take_files(const char *directory)
{
	DIR *open_directory = opendir(directory);
	const struct dirent *entry;
	char path[512];
	int count = 0;

	assert_non_null(open_directory);
	while ((entry = readdir(open_directory)) != NULL) {
		if (entry->d_name[0] == '.' && strstr(entry->d_name, ".session") == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (strstr(path, ".part") || strstr(path, ".session"))
			fail_msg("%s was left behind", path);
		assert_int_equal(unlink(path), 0);
		count++;
	}
	closedir(open_directory);
	return count;
}

static void
a_small_process_has_a_small_trace(void **state)
{
	const char *trace = scratch_file("true.vmt");
	struct stat status;
	struct run run;
	json_t *found;

	(void)state;
	record(&run, trace, NULL, (const char *[]){"/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(stat(trace, &status), 0);
	assert_in_range(status.st_size, 1, 300 << 10);
	assert_in_range(status.st_blocks * 512, 1, 100 << 10);
	assert_int_equal(status.st_mode & 07777, 0600);
	found = report(trace, NULL);
	check_report(found);
	assert_string_equal(json_string_value(member(member(found, "process"), "end")), "exit");
	json_decref(found);
}

/* How many traces children leave that touch 1 to 8 MiB, and their parent. */
static int
traces_left(const char *option, const char *value, const char *said)
{
	const char *directory = scratch_file("traces");
	char pattern[512];
	const char *argv[] = {built("vmtrace"), "record", "-o", pattern,
			      option,		value,	  "--", built("tests/target/fork_sizes"),
			      CHILDREN,		NULL};
	const char *plain[] = {built("vmtrace"), "record", "-o",
			       pattern,		 "--",	   built("tests/target/fork_sizes"),
			       CHILDREN,	 NULL};
	struct run run;
	int left;

	(void)mkdir(directory, 0755);
	snprintf(pattern, sizeof(pattern), "%s/%%p.vmt", directory);
	run_program(&run, option ? argv : plain, NULL);
	assert_int_equal(run.exit_status, 0);
	if (strstr(run.err, said) == NULL)
		fail_msg("no '%s' in: %s", said, run.err);
	run_free(&run);
	left = take_files(directory);
	assert_int_equal(rmdir(directory), 0);
	return left;
}

static void
traces_of_small_processes_can_be_left_out(void **state)
{
	(void)state;
	assert_int_equal(traces_left(NULL, NULL, "9 traces written"), 9);
	/* A child has what it touched, and a few MiB of its parent's: less than 4 of them. */
	int large = traces_left("--min-rss", "6MiB", "removed as small");

	assert_in_range(large, 3, 7);
	assert_int_equal(traces_left("--min-rss", "1GiB", "no trace is left"), 0);
}

static void
the_number_of_traces_can_be_bounded(void **state)
{
	(void)state;
	assert_int_equal(traces_left("--max-files", "3", "3 traces written, 6 removed"), 3);
	assert_int_equal(traces_left("--max-files", "100", "9 traces written"), 9);
}

/* Fork children that do nothing remove their own before a collector has seen them, or it does. */
static void
what_children_remove_themselves_is_counted(void **state)
{
	static const char script[] = "i=0; while [ $i -lt 50 ]; do (exit 0); i=$((i+1)); done";
	const char *pattern = scratch_file("idle.%p.vmt");
	struct run run;
	unsigned written = 0;
	unsigned removed = 0;

	(void)state;
	record(&run, pattern, NULL, (const char *[]){"sh", "-c", script, NULL});
	assert_int_equal(run.exit_status, 0);
	const char *said = strstr(run.err, "; ");

	if (said == NULL || sscanf(said, "; %u %*s written, %u", &written, &removed) < 1)
		fail_msg("no traces in: %s", run.err);
	assert_int_equal(written + removed, 51);
	run_free(&run);
}

/* Where nobody runs `vmtrace record` to say so, the trace of the first process does. */
static void
what_was_removed_is_told_by_the_trace_that_stays(void **state)
{
	const char *pattern = scratch_file("few.%p.vmt");
	const char *all = scratch_file("few.*.vmt");
	const char *const *library = preloaded(pattern);
	const char *environment[8];
	struct conversation talk;
	char script[512];
	char path[512];
	int count = 0;
	int64_t deadline;
	json_t *found;

	(void)state;
	for (; library[count] != NULL && count < 6; count++)
		environment[count] = library[count];
	environment[count++] = "VMTRACE_MAX_FILES=2";
	environment[count] = NULL;
	snprintf(script, sizeof(script), "%s %s; echo done; read x; exit 0",
		 built("tests/target/fork_sizes"), CHILDREN);
	converse_start(&talk, (const char *[]){"/bin/sh", "-c", script, NULL}, environment);
	converse_read_line(&talk);
	deadline = now_ms() + 60000;
	while (count_traces(all) > 3 && now_ms() < deadline)
		usleep(10000);
	assert_int_equal(count_traces(all), 3); /* of the shell, and two more */
	snprintf(path, sizeof(path), "%s/few.%d.vmt", scratch(), (int)talk.pid);
	assert_int_equal(living_reap(&talk, path), 0);
	found = report(path, NULL);
	assert_true(number(member(found, "process"), "traces_removed") >= 6);
	json_decref(found);
}

/* A shell's trace, once it has become small; where somebody has it open, what that one has of it
 * stays as it was. Whether it is the same file. */
static bool
becomes_small_where_it_lies(const char *trace, bool is_open)
{
	struct conversation talk;
	struct stat before, after, held;
	int64_t deadline;
	int fd;

	converse_start(&talk, (const char *[]){"/bin/sh", "-c", "echo ready; read x; exit 0", NULL},
		       preloaded(trace));
	converse_read_line(&talk);
	fd = is_open ? open(trace, O_RDONLY | O_CLOEXEC) : -1;
	assert_int_equal(stat(trace, &before), 0);
	assert_int_equal(living_reap(&talk, trace), 0);
	deadline = now_ms() + 60000;
	while (stat(trace, &after) == 0 && after.st_size >= 300 << 10 && now_ms() < deadline)
		usleep(10000);
	assert_in_range(after.st_size, 1, 300 << 10);
	if (is_open) {
		assert_int_equal(fstat(fd, &held), 0);
		assert_true(held.st_size >= before.st_size);
		close(fd);
	}
	json_decref(report(trace, NULL));
	assert_int_equal(unlink(trace), 0);
	return before.st_ino == after.st_ino;
}

static bool
has_leases(void)
{
	int fd = open(scratch_file("lease"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool has = fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0;

	close(fd);
	return has;
}

static void
who_reads_a_trace_while_it_becomes_small_has_all_of_it(void **state)
{
	const char *trace = scratch_file("read.vmt");

	(void)state;
	assert_false(becomes_small_where_it_lies(trace, true));
	assert_int_equal(becomes_small_where_it_lies(trace, false), has_leases());
}

static int64_t
stacks_dropped(const char *bytes, char *headline, size_t headline_bytes)
{
	const char *trace = scratch_file("stacks.vmt");
	struct run run;
	int64_t dropped;
	json_t *found;

	record(&run, trace, (const char *[]){"--malloc", "all", "--stack-table", bytes, NULL},
	       (const char *[]){built("tests/target/many_stacks"), "10", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	found = report(trace, NULL);
	dropped = number(member(found, "loss"), "stacks_dropped");
	json_decref(found);
	run_program(&run, (const char *[]){built("vmtrace"), "report", trace, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	snprintf(headline, headline_bytes, "%s", run.out);
	run_free(&run);
	assert_int_equal(unlink(trace), 0);
	return dropped;
}

static void
a_full_stack_table_says_which_option_makes_it_larger(void **state)
{
	char headline[2048];

	(void)state;
	assert_true(stacks_dropped("16KiB", headline, sizeof(headline)) > 0);
	assert_non_null(strstr(headline, "--stack-table"));
	assert_int_equal(stacks_dropped("4MiB", headline, sizeof(headline)), 0);
	assert_null(strstr(headline, "--stack-table"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_small_process_has_a_small_trace),
	    cmocka_unit_test(traces_of_small_processes_can_be_left_out),
	    cmocka_unit_test(what_children_remove_themselves_is_counted),
	    cmocka_unit_test(the_number_of_traces_can_be_bounded),
	    cmocka_unit_test(what_was_removed_is_told_by_the_trace_that_stays),
	    cmocka_unit_test(who_reads_a_trace_while_it_becomes_small_has_all_of_it),
	    cmocka_unit_test(a_full_stack_table_says_which_option_makes_it_larger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
