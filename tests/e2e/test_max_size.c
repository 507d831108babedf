/*
 * test_max_size.c: does a trace stay within its size, and say what that cost?
 *
 * Programs that allocate, or map, far more often than fits; the file is looked at after each round.
 * What is mapped is told to the page in either case; blocks are estimates, and a trace that is full
 * says until when it goes. Nothing is told that is not so.
 */
#include "tests/e2e/living.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_BYTES (4 << 20)
#define HELD_BYTES (8 << 20)
#define ROUNDS 12

static void
start(struct conversation *talk, const char *trace, const char *what)
{
	const char *const *library = preloaded(trace);
	const char *environment[8];
	int count = 0;

	for (; library[count] != NULL && count < 3; count++)
		environment[count] = library[count];
	environment[count++] = "VMTRACE_MALLOC=all";
	environment[count++] = "VMTRACE_BUFFER=32KiB";
	environment[count++] = "VMTRACE_MAX_SIZE=4MiB";
	environment[count] = NULL;
	unlink(trace);
	converse_start(talk, (const char *[]){built("tests/target/rounds"), what, NULL},
		       environment);
}

static void
check_size(const char *trace)
{
	struct stat status;

	assert_int_equal(stat(trace, &status), 0);
	if (status.st_blocks * 512 > MAX_BYTES)
		fail_msg("%lld bytes on disk", (long long)status.st_blocks * 512);
}

/* One more round; what malloc's blocks have by then. */
static double
go_round(struct conversation *talk, const char *trace)
{
	assert_int_equal(write(talk->to, "\n", 1), 1);
	converse_read_line(talk);
	check_size(trace);
	return atof(talk->line);
}

/* Whether nothing was lost but what was left out: a ring may overflow where nobody collects. */
static bool
is_whole(json_t *root)
{
	json_t *loss = member(root, "loss");

	return number(loss, "events_dropped") + number(loss, "events_overwritten") +
		   number(loss, "slots_abandoned") + number(loss, "events_missing") ==
	       0;
}

static json_t *
report_now(const char *trace)
{
	json_t *root;

	check_size(trace);
	root = report(trace, NULL);
	check_report(root);
	assert_int_equal(site_sum(root, "mmap", "held_mapping", "committed_bytes"), HELD_BYTES);
	if (is_whole(root)) {
		assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
		assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	}
	assert_int_equal(number(member(root, "loss"), "max_bytes"), MAX_BYTES);
	return root;
}

static void
assert_text(const char *trace, const char *words)
{
	struct run run;

	run_program(&run, (const char *[]){built("vmtrace"), "report", trace, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	if (strstr(run.out, words) == NULL)
		fail_msg("no '%s' in: %s", words, run.out);
	run_free(&run);
}

static void
check_thinned(const char *trace, json_t *root)
{
	json_t *loss = member(root, "loss");

	assert_true(number(loss, "events_thinned") > 0);
	assert_true(json_is_integer(member(loss, "thinned_from_ns")));
	assert_true(number(member(root, "coverage"), "malloc_one_in") > 1);
	assert_text(trace, "fewer and fewer malloc blocks");
}

static void
a_malloc_storm_is_thinned(void **state)
{
	const char *trace = scratch_file("malloc.vmt");
	struct conversation talk;
	double live_bytes = 0;
	double told_bytes;
	json_t *root, *site;

	(void)state;
	start(&talk, trace, "malloc");
	for (int i = 0; i < ROUNDS; i++)
		live_bytes = go_round(&talk, trace);
	living_snapshot(trace);
	root = report(trace, (const char *[]){"--at", "end", NULL});
	site = find_site(root, "malloc", "round_block", 1);
	assert_non_null(site);
	assert_true(json_is_true(member(site, "estimate")));
	/* One block in 128, or fewer, of 20,000: a standard deviation of 10 % or less. */
	told_bytes = (double)number(site, "reserved_bytes");
	if (number(member(root, "coverage"), "malloc_one_in_at_snapshot") <= 128 &&
	    number(member(root, "loss"), "events_dropped") == 0 &&
	    (told_bytes < .5 * live_bytes || told_bytes > 1.5 * live_bytes))
		fail_msg("%.0f bytes told of %.0f", told_bytes, live_bytes);
	json_decref(root);
	assert_int_equal(living_reap(&talk, trace), 0);
	root = report_now(trace);
	check_thinned(trace, root);
	assert_int_equal(number(member(root, "loss"), "events_missing"), 0);
	assert_true(json_is_null(member(member(root, "loss"), "full_from_ns")));
	json_decref(root);
}

static void
a_map_storm_ends_the_recording_not_the_truth(void **state)
{
	const char *trace = scratch_file("map.vmt");
	struct conversation talk;
	json_t *root, *loss;
	int64_t full_ns;

	(void)state;
	start(&talk, trace, "map");
	for (int i = 0; i < ROUNDS / 6; i++)
		go_round(&talk, trace);
	assert_int_equal(living_reap(&talk, trace), 0);
	root = report_now(trace);
	loss = member(root, "loss");
	assert_true(json_is_integer(member(loss, "full_from_ns")));
	full_ns = number(loss, "full_from_ns");
	assert_true(number(loss, "events_thinned") > 0);
	assert_int_equal(number(loss, "events_missing"), 0);
	assert_true(number(member(root, "snapshot"), "time_ns") <= full_ns);
	assert_true(number(member(root, "process"), "last_event_ns") <= full_ns);
	assert_true(number(member(root, "process"), "duration_ns") > full_ns);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "exit");
	json_decref(root);
	assert_text(trace, "reached its maximum size");
}

static void
a_trace_of_the_killed_tells_as_much(void **state)
{
	const char *trace = scratch_file("killed.vmt");
	struct conversation talk;
	json_t *root;
	pid_t collector;
	int status;

	(void)state;
	start(&talk, trace, "malloc");
	for (int i = 0; i < ROUNDS / 3; i++)
		go_round(&talk, trace);
	living_snapshot(trace);
	collector = living_collector(trace);
	assert_int_equal(write(talk.to, "\n", 1), 1); /* in the middle of a round */
	assert_int_equal(kill(collector, SIGKILL), 0);
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	status = converse_end(&talk);
	assert_true(WIFSIGNALED(status));
	root = report_now(trace);
	check_thinned(trace, root);
	json_decref(root);
}

/* The command says so at its end, and may be told to let the trace grow. */
static void
the_summary_says_that_events_were_left_out(void **state)
{
	const char *trace = scratch_file("summary.vmt");
	const char *bounds[] = {"1MiB", "0"};
	char script[512];

	(void)state;
	/* Eight bytes are a round. */
	snprintf(script, sizeof(script), "printf %%032d 0 | %s malloc >/dev/null; exit 3",
		 built("tests/target/rounds"));
	for (int i = 0; i < 2; i++) {
		struct run run;
		bool said;

		record(&run, trace,
		       (const char *[]){"--malloc", "all", "--buffer", "32KiB", "--max-size",
					bounds[i], NULL},
		       (const char *[]){"/bin/sh", "-c", script, NULL});
		assert_int_equal(run.exit_status, 3);
		said = strstr(run.err, "events left out to stay within --max-size") != NULL;
		assert_int_equal(said, i == 0);
		run_free(&run);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_malloc_storm_is_thinned),
	    cmocka_unit_test(a_map_storm_ends_the_recording_not_the_truth),
	    cmocka_unit_test(a_trace_of_the_killed_tells_as_much),
	    cmocka_unit_test(the_summary_says_that_events_were_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
