/*
 * test_first_lines.c: do the first lines of a report say what a person needs, of the right moment?
 */
#include "tests/e2e/living.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

static struct conversation talk;

static void
tell(const char *line)
{
	assert_int_equal(write(talk.to, line, strlen(line)), (ssize_t)strlen(line));
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	assert_string_equal(talk.line, line);
}

/* The report as text, of a command line that begins with the trace. */
static char *
text_of(const char *const arguments[])
{
	const char *argv[16] = {built("vmtrace"), "report"};
	struct run run;

	for (size_t i = 0; arguments[i]; i++)
		argv[i + 2] = arguments[i];
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		print_error("%s\n", run.err);
	assert_int_equal(run.exit_status, 0);
	char *text = strdup(run.out);

	run_free(&run);
	for (char *at = text; *at; at++) /* lines are wrapped where they are full */
		if (at[0] == '\n' && at[1] != '\n' && at[1] != ' ')
			*at = ' ';
	return text;
}

static void
expect_text(const char *const arguments[], const char *part)
{
	char *text = text_of(arguments);

	if (!strstr(text, part))
		print_error("missing: %s\nin:\n%s\n", part, text);
	assert_non_null(strstr(text, part));
	free(text);
}

/* The index of the snapshot that a report is of. */
static int64_t
taken_at(const char *trace, const char *when, int64_t *rss_bytes)
{
	json_t *root = report(trace, when ? (const char *const[]){"--at", when, NULL} : NULL);
	json_t *snapshot = member(root, "snapshot");
	int64_t index = number(snapshot, "index");

	assert_true(number(snapshot, "time_ns") > 0);

	if (rss_bytes)
		*rss_bytes = number(snapshot, "rss_bytes");
	json_decref(root);
	return index;
}

/* The time of a snapshot, to be given to --at: the clock's rate is still being learnt, so a
 * microsecond more. */
static const char *
time_of(char text[32], const char *trace, const char *when)
{
	json_t *root = report(trace, (const char *const[]){"--at", when, NULL});

	snprintf(text, 32, "%ldus", (long)(number(member(root, "snapshot"), "time_ns") / 1000 + 2));
	json_decref(root);
	return text;
}

/* Both sides are of one moment: the default one where `at` is NULL. */
static void
compare_with_itself(const char *trace, const char *at, bool now, int64_t rss_bytes)
{
	const char *argv[] = {built("vmtrace"), "diff", trace, trace, at ? "--at" : NULL, at, NULL};
	const char *json[] = {
	    built("vmtrace"), "diff", "--format=json", trace, trace, at ? "--at" : NULL, at, NULL};
	struct run run;
	json_t *root;

	run_program(&run, argv, (const char *const[]){"COLUMNS=1000", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(strstr(run.out, " (now)\n") != NULL, now);
	run_free(&run);
	run_program(&run, json, NULL);
	root = json_loads(run.out, 0, NULL);
	assert_non_null(root);
	assert_int_equal(number(member(member(root, "b"), "snapshot"), "rss_bytes"), rss_bytes);
	json_decref(root);
	run_free(&run);
}

/* A program that runs is reported as it is now; its peak, and what changed between two moments, are
 * to be had. */
static void
a_program_that_runs_is_reported_now(void **state)
{
	const char *trace = scratch_file("moments.vmt");
	char from[32];
	char to[32];
	char clock[32];
	struct tm local;
	time_t now;
	int64_t rss, spike_bytes, kept_bytes;

	(void)state;
	converse_start(&talk, (const char *const[]){built("tests/target/moments"), NULL},
		       preloaded(trace));
	converse_read_line(&talk);
	tell("spike");
	living_snapshot(trace);
	int64_t spike = taken_at(trace, NULL, &spike_bytes);

	assert_true(spike_bytes >= 60 * MIB && spike_bytes < 70 * MIB);
	expect_text((const char *const[]){trace, NULL}, "60 MiB mapped by mmap (");
	tell("drop");
	tell("keep");
	living_snapshot(trace);
	int64_t kept = taken_at(trace, NULL, &kept_bytes);

	assert_true(kept > spike);
	assert_true(kept_bytes >= 20 * MIB && kept_bytes < 30 * MIB);
	expect_text((const char *const[]){trace, NULL}, "20 MiB mapped by mmap (");
	expect_text((const char *const[]){trace, NULL}, ", by map_kept moments.c:");
	expect_text((const char *const[]){trace, NULL}, "What grew last");
	assert_true(taken_at(trace, "peak", &rss) < kept);
	assert_int_equal(rss, spike_bytes);
	compare_with_itself(trace, NULL, true, kept_bytes);
	compare_with_itself(trace, "peak", false, spike_bytes);
	time_of(from, trace, "peak");
	time_of(to, trace, "end");
	expect_text((const char *const[]){trace, "--from", from, "--to", to, NULL},
		    "-40 MiB    60 MiB    20 MiB");
	expect_text((const char *const[]){trace, "--from", from, NULL},
		    "-60 MiB    60 MiB       0 B");
	now = time(NULL);
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &local));
	/* On a busy machine ten seconds may have gone by, and one more was due. */
	assert_true(taken_at(trace, clock, &rss) >= kept);
	assert_int_equal(rss, kept_bytes);
	converse_end(&talk);
	living_wait_end(trace);
	assert_true(taken_at(trace, NULL, &rss) < kept);
	assert_int_equal(rss, spike_bytes);
	compare_with_itself(trace, NULL, false, spike_bytes);
	expect_text((const char *const[]){trace, NULL}, "60 MiB mapped by mmap (");
}

static void
expect(const char *const argv[], int status, const char *told)
{
	struct run run;

	run_program(&run, argv, NULL);
	if (!strstr(run.err, told))
		print_error("missing: %s\nin:\n%s\n", told, run.err);
	assert_non_null(strstr(run.err, told));
	assert_int_equal(run.exit_status, status);
	run_free(&run);
}

/* What somebody meant is offered, and what works in the place of what does not. */
static void
what_was_meant_is_offered(void **state)
{
	const char *vmtrace = built("vmtrace");
	const char *trace = scratch_file("small.vmt");
	struct run run;
	char wrong[PATH_MAX];

	(void)state;
	record(&run, trace, NULL, (const char *const[]){"true", NULL});
	run_free(&run);
	expect((const char *const[]){vmtrace, "reprot", NULL}, 2, "did you mean report?");
	expect((const char *const[]){vmtrace, "report", "--fromat", "json", trace, NULL}, 2,
	       "did you mean --format?");
	snprintf(wrong, sizeof(wrong), "%.*s.vnt", (int)strlen(trace) - 4, trace);
	expect((const char *const[]){vmtrace, "report", wrong, NULL}, 2, "small.vmt?");
	expect((const char *const[]){vmtrace, "report", "4294967295", NULL}, 2,
	       "vmtrace doctor 4294967295");
	expect((const char *const[]){vmtrace, "record", NULL}, 125, "-p PID");
	expect((const char *const[]){vmtrace, "record", "--pid=4194304", NULL}, 125,
	       "no process 4194304");
	expect((const char *const[]){vmtrace, "report", "--frames", "many", trace, NULL}, 2,
	       "--frames: 'many'");
	expect((const char *const[]){vmtrace, "report", "--sort", "comitted", trace, NULL}, 2,
	       "did you mean committed?");
	expect((const char *const[]){vmtrace, "report", "--format=jsn", trace, NULL}, 2,
	       "did you mean json?");
	expect((const char *const[]){vmtrace, "dump", "--format=jsn", trace, NULL}, 2,
	       "--format: 'jsn' is not one of text, json; did you mean json?");
	expect((const char *const[]){vmtrace, "report", "--at=pek", trace, NULL}, 2,
	       "did you mean peak?");
	expect(
	    (const char *const[]){vmtrace, "diff", "--fail-over=comitted=1%", trace, trace, NULL},
	    2, "did you mean committed?");
	expect((const char *const[]){vmtrace, "record", "--malloc", "SAMPELD:4k", "true", NULL},
	       125, "did you mean sampled?");
	expect((const char *const[]){vmtrace, "record", "--follow", "forks", "true", NULL}, 125,
	       "did you mean fork?");
	expect((const char *const[]){vmtrace, "record", "--cmdline", "of", "true", NULL}, 125,
	       "did you mean off?");
	expect((const char *const[]){vmtrace, "report", "--to", "end", trace, NULL}, 2,
	       "--from WHEN --to WHEN");
}

/* Up to "titled"; then a snapshot is taken. */
static void
take_title(const char *trace, const char *title, const char *cmdline)
{
	const char *environment[8];
	size_t used = 0;

	for (const char *const *at = preloaded(trace); *at; at++)
		environment[used++] = *at;
	environment[used++] = variable("VMTRACE_CMDLINE", cmdline);
	environment[used] = NULL;
	converse_start(
	    &talk,
	    (const char *const[]){built("tests/target/titled"), title, "so that it has room", NULL},
	    environment);
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	living_snapshot(trace);
}

static json_t *
title_of(const char *trace)
{
	json_t *root = report(trace, NULL);
	json_t *title = json_incref(member(member(root, "process"), "title"));

	json_decref(root);
	return title;
}

static void
go_on(const char *trace)
{
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	assert_string_equal(talk.line, "titled");
	living_snapshot(trace);
}

/* Lines that were broken at the width are one again. */
static char *
joined(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++) {
		bool space = *at == ' ' || *at == '\n';

		if (!space || to == text || to[-1] != ' ')
			*to++ = space ? ' ' : *at;
	}
	*to = '\0';
	return text;
}

/* Servers write over their arguments: what they call themselves then stands beside what they were
 * started as, and orders to a terminal in it are none any more. */
static void
test_titles_are_told(void **state)
{
	static const char title[] = "sv: \033[31mworker 7\033[0m";
	const char *trace = scratch_file("titled.vmt");
	json_t *found;
	char *text;

	(void)state;
	take_title(trace, title, "on");
	found = title_of(trace);
	assert_true(json_is_null(found));
	json_decref(found);
	go_on(trace);
	found = title_of(trace);
	assert_string_equal(json_string_value(found), title);
	json_decref(found);
	text = joined(text_of((const char *const[]){trace, NULL}));
	assert_non_null(strstr(text, ", calls itself \"sv: "));
	assert_non_null(strstr(text, "so that it has room (process "));
	assert_null(strchr(text, '\033'));
	free(text);
	assert_int_equal(living_reap(&talk, trace), 0);
}

/* A directory: what lies there, by what each called itself, and how much is no trace. */
static void
test_a_directory_is_listed(void **state)
{
	const char *directory = scratch_file("listed");
	char trace[PATH_MAX], other[PATH_MAX];
	struct run run;
	json_t *root, *traces;
	FILE *file;

	(void)state;
	assert_int_equal(mkdir(directory, 0755), 0);
	expect((const char *const[]){built("vmtrace"), "report", directory, NULL}, 2,
	       "is a directory without a trace");
	snprintf(trace, sizeof(trace), "%s/a.vmt", directory);
	snprintf(other, sizeof(other), "%s/b.vmt", directory);
	take_title(trace, "sv: \033[31mworker 7", "on");
	go_on(trace);
	assert_int_equal(living_reap(&talk, trace), 0);
	file = fopen(other, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	expect_text((const char *const[]){directory, NULL}, "1 trace in ");
	expect_text((const char *const[]){directory, NULL}, "exit     a.vmt  sv: ");
	expect_text((const char *const[]){directory, NULL}, "and 1 unreadable");
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "report", "-fjson", directory, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	root = json_loads(run.out, 0, NULL);
	traces = member(root, "traces");
	assert_int_equal(json_array_size(traces), 1);
	assert_int_equal(number(root, "unreadable"), 1);
	assert_string_equal(json_string_value(member(json_array_get(traces, 0), "command")),
			    "sv: \033[31mworker 7");
	assert_true(number(json_array_get(traces, 0), "peak_rss_bytes") >= MIB);
	json_decref(root);
	run_free(&run);
	assert_int_equal(unlink(trace), 0);
	expect((const char *const[]){built("vmtrace"), "report", directory, NULL}, 2,
	       "none of its traces (*.vmt) can be read");
}

static bool
has_bytes(const char *path, const char *bytes)
{
	FILE *file = fopen(path, "re");
	size_t matched = 0;
	int byte;

	assert_non_null(file);
	while (bytes[matched] && (byte = fgetc(file)) != EOF)
		matched = byte == bytes[matched] ? matched + 1 : byte == bytes[0];
	assert_int_equal(fclose(file), 0);
	return bytes[matched] == '\0';
}

static void
test_titles_are_left_out_with_the_command_line(void **state)
{
	const char *trace = scratch_file("untitled.vmt");
	json_t *found;

	(void)state;
	take_title(trace, "Xecret", "off");
	go_on(trace);
	found = title_of(trace);
	assert_true(json_is_null(found));
	json_decref(found);
	assert_int_equal(living_reap(&talk, trace), 0);
	assert_false(has_bytes(trace, "Xecret"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_program_that_runs_is_reported_now),
	    cmocka_unit_test(what_was_meant_is_offered),
	    cmocka_unit_test(test_titles_are_told),
	    cmocka_unit_test(test_a_directory_is_listed),
	    cmocka_unit_test(test_titles_are_left_out_with_the_command_line),
	};

	return cmocka_run_group_tests_name("first lines", tests, NULL, NULL);
}
