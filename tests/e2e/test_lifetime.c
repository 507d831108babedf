/*
 * test_lifetime.c: is a process seen at the right moments, and what does looking at it cost?
 *
 * However short a life was, and in whichever way it ended, there is a snapshot of its end; a spike
 * has one near its peak; and the collector keeps to its share of a CPU.
 */
#include "tests/e2e/living.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

struct departure {
	const char *way;
	const char *end; /* as the report says */
	int status;	 /* as the report says */
	bool foreseen;	 /* the library sees it coming: there is a snapshot of it */
};

static const struct departure departures[] = {
    {"return", "exit", 7, true},
    {"exit", "exit", 7, true},
    {"_exit", "exit", 7, true},
    {"_Exit", "exit", 7, true},
    {"quick_exit", "exit", 7, true},
    {"exit_group", "exit", 7, true},
    {"thread", "exit", 7, true},
    {"pthread_exit", "exit", 0, true},
    {"address_space", "exit", 7, false}, /* its recording ends before it does */
    {"exec_thread", "exec", 0, false},
    {"abort", "signal", SIGABRT, false},
    {"kill", "signal", SIGKILL, false},
    {"segv", "signal", SIGSEGV, false},
    {"overflow", "signal", SIGSEGV, false},
    {"overflow_thread", "signal", SIGSEGV, false},
};

#define DEPARTURES (sizeof(departures) / sizeof(departures[0]))

static bool
last_is_of_the_end(const char *trace)
{
	json_t *snapshots = dump(trace, "snapshot");
	json_t *last = json_array_get(snapshots, json_array_size(snapshots) - 1);
	bool found;

	assert_non_null(last);
	found = strcmp(json_string_value(member(last, "reason")), "exit") == 0;
	json_decref(snapshots);
	return found;
}

static void
check_end(const char *trace, const struct departure *departure)
{
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	json_t *process = member(root, "process");

	check_report(root);
	if (strcmp(json_string_value(member(process, "end")), departure->end) != 0 ||
	    number(process, "end_status") != departure->status)
		fail_msg("%s: end %s with %lld", departure->way,
			 json_string_value(member(process, "end")),
			 (long long)number(process, "end_status"));
	if (departure->foreseen &&
	    (!last_is_of_the_end(trace) ||
	     site_sum(root, "mmap", "map_brief", "committed_bytes") != 32 * MIB))
		fail_msg("%s: the last snapshot is not of the end", departure->way);
	assert_int_equal(site_sum(root, "mmap", "map_brief", "total_reserved_bytes"), 32 * MIB);
	json_decref(root);
}

static bool
as_departed(int wait_status, const struct departure *departure)
{
	if (strcmp(departure->end, "signal") == 0)
		return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == departure->status;
	return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == departure->status;
}

static void
end_recorded(const char *trace, const struct departure *departure)
{
	bool killed = strcmp(departure->end, "signal") == 0;
	struct run run;

	record(&run, trace, NULL,
	       (const char *const[]){built("tests/target/brief"), departure->way, NULL});
	assert_int_equal(run.exit_status, killed ? 128 + departure->status : departure->status);
	run_free(&run);
	check_end(trace, departure);
}

static void
end_preloaded(const char *trace, const struct departure *departure)
{
	static struct conversation talk;
	const char *const *library = preloaded(trace);
	const char *const argv[] = {
	    "sh",	    "-c",	"exec env \"$0\" \"$1\" \"$2\" \"$3\" 2>&1",
	    library[0],	    library[1], built("tests/target/brief"),
	    departure->way, NULL};
	char said;

	unlink(trace);
	converse_start(&talk, argv, NULL);
	assert_int_equal(read(talk.from, &said, 1), 0);
	assert_true(as_departed(living_reap(&talk, trace), departure));
	check_end(trace, departure);
}

static void
check_each_way(const char *trace,
	       void (*end_one)(const char *trace, const struct departure *departure))
{
	for (size_t i = 0; i < DEPARTURES; i++)
		end_one(trace, &departures[i]);
}

static void
test_ends_recorded(void **state)
{
	(void)state;
	check_each_way(scratch_file("brief.vmt"), end_recorded);
}

static void
test_ends_preloaded(void **state)
{
	(void)state;
	check_each_way(scratch_file("brief-bare.vmt"), end_preloaded);
}

static void
check_said_end(const char *trace, const char *end)
{
	json_t *root = report(trace, NULL);

	assert_string_equal(json_string_value(member(member(root, "process"), "end")), end);
	json_decref(root);
}

/* A script that waits for its program and asks at once, while the collector has not got round to
 * writing the end: here it is kept from it. */
static void
test_asked_at_once(void **state)
{
	const char *trace = scratch_file("at-once.vmt");
	static struct conversation talk;

	(void)state;
	converse_start(&talk, (const char *const[]){"cat", NULL}, preloaded(trace));
	pid_t collector = living_collector(trace);

	assert_int_equal(kill(collector, SIGSTOP), 0);
	assert_int_equal(kill(talk.pid, SIGTERM), 0);
	assert_true(WIFSIGNALED(converse_end(&talk)));
	check_said_end(trace, "ending");
	assert_int_equal(kill(collector, SIGCONT), 0);
	json_t *ends = dump(trace, "end");

	assert_int_equal(json_array_size(ends), 1);
	json_decref(ends);
}

/* 200 MiB that stand for 300 ms: the peak is in the RSS line, and a snapshot was taken near it, if
 * the budget let one: on an emulated machine one costs many times as much. */
static void
test_spike(void **state)
{
	const char *trace = scratch_file("spike.vmt");
	struct run run;

	(void)state;
	record(&run, trace, NULL, (const char *const[]){built("tests/target/spike"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	json_t *root = report(trace, (const char *const[]){"--at", "peak", NULL});

	check_report(root);
	assert_true(peak_rss(root) >= 200 * MIB);
	bool seen = site_sum(root, "mmap", "map_spike", "committed_bytes") >= 190 * MIB;
	bool put_off = number(member(root, "loss"), "snapshots_skipped") > 0;

	json_decref(root);
	assert_true(seen || put_off);
	if (!seen) {
		print_message("skip: the snapshot of a spike was put off to stay cheap\n");
		skip();
	}
}

static void
check_cost(const char *what, const char *trace)
{
	json_t *ends = dump(trace, "end");
	json_t *root = report(trace, NULL);
	int64_t cpu_ns = number(json_array_get(ends, 0), "collector_cpu_ns");
	int64_t duration_ns = number(member(root, "process"), "duration_ns");

	print_message("collector of %s: %.1f ms of CPU in %.1f s, %.2f %%\n", what,
		      (double)cpu_ns / 1e6, (double)duration_ns / 1e9,
		      100.0 * (double)cpu_ns / (double)duration_ns);
	/* Ten times the budget and a start's worth: it is no clock that this test looks after, but
	 * a collector that spins. */
	assert_true(cpu_ns < duration_ns / 10 + 100000000);
	json_decref(root);
	json_decref(ends);
}

/* Both run at the same time: they mostly wait. */
static void
test_cost(void **state)
{
	static struct conversation idle;
	static struct conversation growing;
	const char *idle_trace = scratch_file("idle.vmt");
	const char *growing_trace = scratch_file("growing.vmt");

	(void)state;
	converse_start(&idle,
		       (const char *const[]){built("vmtrace"), "record", "-o", idle_trace, "--",
					     "/bin/sleep", "5", NULL},
		       NULL);
	converse_start(&growing,
		       (const char *const[]){built("vmtrace"), "record", "-o", growing_trace, "--",
					     built("tests/target/growing"), "5", NULL},
		       NULL);
	assert_int_equal(converse_end(&idle), 0);
	assert_int_equal(converse_end(&growing), 0);
	check_cost("an idle program", idle_trace);
	check_cost("a growing program", growing_trace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ends_recorded), cmocka_unit_test(test_ends_preloaded),
	    cmocka_unit_test(test_asked_at_once), cmocka_unit_test(test_spike),
	    cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests_name("lifetime", tests, NULL, NULL);
}
