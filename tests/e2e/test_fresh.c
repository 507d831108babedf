/*
 * test_fresh.c: does a report say what came after the snapshot that it shows?
 *
 * A program with 64 MiB in blocks frees them while RSS stays, or gets more and is killed before
 * anybody looks: the collector is stopped meanwhile.
 */
#include "tests/e2e/living.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((int64_t)1 << 20)

static void
start(struct conversation *talk, const char *trace)
{
	unlink(trace);
	converse_start(talk, (const char *const[]){built("tests/target/freed"), NULL},
		       preloaded(trace));
	converse_read_line(talk);
}

static void
tell(struct conversation *talk, const char *order)
{
	assert_int_equal(write(talk->to, order, 1), 1);
	converse_read_line(talk);
}

static char *
first_lines(const char *trace, const char *const options[])
{
	const char *argv[10] = {built("vmtrace"), "report", trace};
	struct run run;
	char *text;

	for (size_t i = 0; options && options[i]; i++)
		argv[3 + i] = options[i];
	run_program(&run, argv, (const char *const[]){"COLUMNS=2000", NULL});
	assert_int_equal(run.exit_status, 0);
	text = strdup(run.out);
	run_free(&run);
	return text;
}

static void
assert_says(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, text);
}

/* The last snapshot of the trace. */
static json_t *
last_snapshot(const char *trace)
{
	json_t *snapshots = dump(trace, "snapshot");
	json_t *last = json_incref(json_array_get(snapshots, json_array_size(snapshots) - 1));

	json_decref(snapshots);
	return last;
}

/* RSS does not move, and the next snapshot of a period is seconds away: events ask for one. */
static void
freed_blocks_bring_a_snapshot(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("freed.vmt");
	int64_t deadline = now_ms() + 60000;
	int64_t live = INT64_MAX;

	(void)state;
	start(&talk, trace);
	living_snapshot(trace);
	tell(&talk, "f");
	while (live > 20 * MIB) {
		json_t *root = report(trace, NULL);

		live = class_committed(root, "malloc live");
		if (live > 20 * MIB)
			assert_true(now_ms() < deadline);
		else
			assert_true(number(member(root, "snapshot"), "rss_bytes") > 60 * MIB);
		json_decref(root);
		usleep(20000);
	}
	json_t *last = last_snapshot(trace);

	assert_string_equal(json_string_value(member(last, "reason")), "growth");
	json_decref(last);
	converse_end(&talk);
}

/* Makes the trace of a program that got 48 MiB and was killed while nobody looked. */
static void
grow_unseen(const char *trace)
{
	static struct conversation talk;
	pid_t collector;

	start(&talk, trace);
	collector = living_collector(trace);
	living_snapshot(trace);
	assert_int_equal(kill(collector, SIGSTOP), 0);
	tell(&talk, "g");
	assert_int_equal(write(talk.to, "k", 1), 1);
	/* It is a zombie: nobody has reaped it. */
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)talk.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(kill(collector, SIGCONT), 0);
	(void)living_reap(&talk, trace);
}

static void
growth_before_a_kill_comes_first(void **state)
{
	const char *trace = scratch_file("killed.vmt");

	(void)state;
	grow_unseen(trace);
	json_t *root = report(trace, NULL);
	json_t *since = member(root, "since");
	char *text = first_lines(trace, NULL);

	check_report(root);
	assert_in_range(number(since, "blocks_requested_bytes"), 30 * MIB, 70 * MIB);
	assert_true(site_sum(root, "malloc", "open_sessions", "since_requested_bytes") > 30 * MIB);
	assert_int_equal(site_sum(root, "malloc", "parse_rows", "since_requested_bytes"), 0);
	assert_true(json_is_false(member(member(root, "process"), "oom")));
	assert_int_equal(strncmp(text, "This snapshot is ", 17), 0);
	assert_says(text, " before the signal that ended the process; since then about ");
	assert_says(text, " of malloc blocks were requested, the most by open_sessions freed.c:");
	free(text);
	json_decref(root);
}

static void
between_two_moments_of_one_snapshot_events_tell(void **state)
{
	const char *trace = scratch_file("moments.vmt");
	char from[32], to[32];

	(void)state;
	grow_unseen(trace);
	json_t *root = report(trace, NULL);
	int64_t looked_ns = number(member(root, "since"), "from_ns");
	int64_t last_ns = number(member(root, "process"), "last_event_ns");

	snprintf(from, sizeof(from), "%" PRId64 "us", looked_ns / 1000 + 1);
	snprintf(to, sizeof(to), "%" PRId64 "us", last_ns / 1000 + 1);
	char *text = first_lines(trace, (const char *const[]){"--from", from, "--to", to, NULL});

	assert_says(text, "A and B are the same snapshot");
	assert_says(text, "By events, from A's moment to B's about ");
	assert_says(text, " of malloc blocks were requested.");
	free(text);
	text = first_lines(trace, (const char *const[]){"--at", to, NULL});
	assert_says(text, " before the time asked for; since then about ");
	free(text);
	json_decref(root);
}

/* When the first snapshot was taken that somebody asked for. */
static int64_t
first_asked_ns(const char *trace)
{
	json_t *snapshots = dump(trace, "snapshot");
	int64_t time_ns = -1;
	json_t *snapshot;
	size_t i;

	json_array_foreach(snapshots, i, snapshot)
	{
		if (time_ns < 0 &&
		    strcmp(json_string_value(member(snapshot, "reason")), "request") == 0)
			time_ns = number(snapshot, "time_ns");
	}
	json_decref(snapshots);
	assert_true(time_ns >= 0);
	return time_ns;
}

/* Neither snapshot shows it in RAM, and one between them does. */
static void
what_was_given_back_was_touched(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("given.vmt");
	char from[32];

	(void)state;
	start(&talk, trace);
	living_snapshot(trace);
	tell(&talk, "m");
	living_snapshot(trace);
	tell(&talk, "d");
	converse_end(&talk);
	living_wait_end(trace);
	/* Times are told by the clock's rate, which is known better the longer a trace is. */
	snprintf(from, sizeof(from), "%" PRId64 "us", first_asked_ns(trace) / 1000 + 1);
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

	assert_int_equal(site_sum(root, "mmap", "map_table", "never_touched_bytes"), 0);
	json_decref(root);
	char *text = first_lines(trace, (const char *const[]){"--from", from, "--to", "end", NULL});

	assert_says(text, "Reserved +30");
	assert_says(text, "more is requested, and is not in RAM: given back, or not touched yet. "
			  "Mostly at map_table");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(freed_blocks_bring_a_snapshot),
	    cmocka_unit_test(growth_before_a_kill_comes_first),
	    cmocka_unit_test(what_was_given_back_was_touched),
	    cmocka_unit_test(between_two_moments_of_one_snapshot_events_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
