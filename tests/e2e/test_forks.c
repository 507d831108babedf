/*
 * test_forks.c: has each process image a trace of its own, with its own calls and no other's?
 *
 * A program makes processes in every way there is (fork by several threads, in a signal handler and
 * with atfork handlers, raw clone, clone on the same memory, vfork, posix_spawn, daemon, double
 * fork). Every child maps memory of a size that tells its kind. The traces must hold each of these
 * once, in a trace where it belongs; and as many traces there must be as images.
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define ROUNDS 6
#define LONG_ROUNDS 50

/* By pages: how many such mappings one round makes. 16 is made in an atfork handler. */
static const int kinds[] = {[11] = 3, [12] = 3, [13] = 1, [14] = 1, [15] = 1, [16] = 7, [17] = 2};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define AFTER_FORK 16
#define IN_HANDLER 15	  /* in a hook that the handler interrupted nothing is recorded */
#define TRACES_A_ROUND 12 /* without those */
#define IMAGES_A_ROUND 2  /* of these, by exec */

struct tally {
	size_t traces; /* but those of children in a handler */
	int made[KINDS];
};

/* Adds a trace's mappings; it may hold those of one kind of child at most. */
static void
count_trace(const char *trace, bool is_root, struct tally *tally)
{
	json_t *events = dump(trace, "event");
	int own[KINDS] = {0};
	int kinds_here = 0;
	json_t *event;
	size_t i;

	json_array_foreach(events, i, event)
	{
		size_t pages;

		if (strcmp(json_string_value(member(event, "kind")), "MMAP") != 0)
			continue;
		pages = (size_t)number(event, "length") / PAGE;
		if (pages < KINDS && kinds[pages] != 0)
			own[pages]++;
	}
	for (size_t kind = 0; kind < KINDS; kind++) {
		tally->made[kind] += own[kind];
		kinds_here += own[kind] != 0 && kind != AFTER_FORK;
		if (own[kind] > 1 || (is_root && own[kind] != 0))
			fail_msg("%s: %d mappings of %zu pages", trace, own[kind], kind);
	}
	if (kinds_here > 1)
		fail_msg("%s: calls of %d kinds of children", trace, kinds_here);
	json_decref(events);
}

/* Counts what the traces of a directory hold, and empties it. */
static struct tally
take_traces(const char *directory, int64_t root_pid)
{
	struct tally tally = {0};
	char pattern[PATH_MAX];
	char root[64];
	glob_t found;

	snprintf(root, sizeof(root), ".%lld.vmt", (long long)root_pid);
	snprintf(pattern, sizeof(pattern), "%s/*", directory);
	if (glob(pattern, GLOB_PERIOD, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++) {
			const char *path = found.gl_pathv[i];

			if (path[strlen(path) - 1] == '.')
				continue; /* the directory itself, and its parent */
			count_trace(path, strstr(path, root) != NULL, &tally);
			tally.traces++;
			unlink(path);
		}
	globfree(&found);
	tally.traces -= (size_t)tally.made[IN_HANDLER];
	return tally;
}

static struct tally
watch_forks(const char *option, const char *value, int count)
{
	const char *directory = scratch_file("forks");
	const char *const options[] = {"--malloc", "all", "--buffer", "64K", option, value, NULL};
	char output[PATH_MAX + 16];
	char rounds[16];
	struct run run;

	mkdir(directory, 0700);
	snprintf(output, sizeof(output), "%s/%%n.%%p.vmt", directory);
	snprintf(rounds, sizeof(rounds), "%d", count);
	record(&run, output, options,
	       (const char *const[]){built("tests/target/fork_kinds"), rounds, NULL});
	if (run.exit_status != 0)
		fail_msg("ended with %x: %s", (unsigned)run.wait_status, run.err);
	json_t *truth = json_loads(run.out, 0, NULL);

	assert_non_null(truth);
	struct tally tally = take_traces(directory, number(truth, "pid"));

	json_decref(truth);
	run_free(&run);
	return tally;
}

static void
test_each_its_own(void **state)
{
	const int rounds = (int)soak_count(ROUNDS, LONG_ROUNDS);

	(void)state;
	for (long i = soak_count(1, 200); i > 0; i--) {
		struct tally tally = watch_forks(NULL, NULL, rounds);

		for (size_t kind = 0; kind < KINDS; kind++)
			if (kind == IN_HANDLER ? tally.made[kind] > rounds
					       : tally.made[kind] != kinds[kind] * rounds)
				fail_msg("%d mappings of %zu pages", tally.made[kind], kind);
		assert_int_equal(tally.traces, 1 + TRACES_A_ROUND * rounds);
	}
}

/* None hangs, and none writes into its parent's trace. */
static void
test_unrecorded_children(void **state)
{
	(void)state;
	for (long i = soak_count(1, 2000); i > 0; i--) {
		struct tally tally = watch_forks("--follow", "none", LONG_ROUNDS);

		assert_int_equal(tally.traces, 1);
		for (size_t kind = 0; kind < KINDS; kind++)
			assert_int_equal(tally.made[kind], 0);
	}
}

static void
test_follow(void **state)
{
	(void)state;
	assert_int_equal(watch_forks("--follow", "exec", ROUNDS).traces,
			 1 + IMAGES_A_ROUND * ROUNDS);
	assert_int_equal(watch_forks("--follow", "fork", ROUNDS).traces,
			 1 + (TRACES_A_ROUND - IMAGES_A_ROUND) * ROUNDS);
	assert_int_equal(watch_forks("--follow", "all", ROUNDS).traces,
			 1 + TRACES_A_ROUND * ROUNDS);
}

static void
test_only(void **state)
{
	(void)state;
	assert_int_equal(watch_forks("--only", "for?_k*", ROUNDS).traces,
			 1 + TRACES_A_ROUND * ROUNDS);
	assert_int_equal(watch_forks("--only", "fork", ROUNDS).traces, 0);
}

/* Shared until one of the two writes, and in the RSS of both; what the child touches is its own. */
static void
test_shared_pages(void **state)
{
	const int64_t mib = 1 << 20;
	char pattern[PATH_MAX];
	struct run run;

	(void)state;
	record(&run, scratch_file("share.%p.vmt"), (const char *const[]){"--malloc", "off", NULL},
	       (const char *const[]){built("tests/target/fork_share"), NULL});
	assert_int_equal(run.exit_status, 0);
	json_t *truth = json_loads(run.out, 0, NULL);

	snprintf(pattern, sizeof(pattern), "%s", scratch_file("share.*.vmt"));
	json_t *parent = report_of_pid(pattern, number(truth, "pid"));
	json_t *child = report_of_pid(pattern, number(member(truth, "figures"), "child"));

	check_report(parent);
	check_report(child);
	assert_int_equal(site_sum(parent, "mmap", "map_before", "committed_bytes"), 16 * mib);
	assert_int_equal(site_sum(child, "mmap", "map_in_child", "committed_bytes"), mib);
	assert_int_equal(class_committed(child, "mmap"), mib);
	assert_in_range(class_committed(child, "inherited at fork"), 20 * mib, 21 * mib);
	assert_non_null(strstr(
	    json_string_value(json_array_get(member(member(child, "coverage"), "blind_spots"), 0)),
	    "shares with its parent"));
	json_decref(parent);
	json_decref(child);
	json_decref(truth);
	run_free(&run);
}

static bool
tells(json_t *root, const char *words)
{
	const json_t *spot;
	size_t i;

	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i, spot)
	{
		if (strstr(json_string_value(spot), words))
			return true;
	}
	return false;
}

/* A program with a child that makes no call that is recorded. */
struct silent {
	struct conversation talk;
	char directory[PATH_MAX];
	char parent[PATH_MAX + 64]; /* the parent's trace */
	char trace[PATH_MAX + 64];  /* of the child, should it get one */
	char later[PATH_MAX + 64];  /* one that the child makes by itself afterwards */
	int64_t child;
	int hold; /* the end of a pipe whose other end the program has */
};

static void
silent_begin(struct silent *silent, const char *kind, bool bare)
{
	char output[PATH_MAX + 32];
	char descriptor[16];
	int64_t parent;
	int given;
	int ends[2];
	const char *name = scratch_file(bare ? "bare" : kind);

	snprintf(silent->directory, sizeof(silent->directory), "%s", name);
	assert_int_equal(mkdir(silent->directory, 0700), 0);
	snprintf(output, sizeof(output), "%s/s.%%p.vmt", silent->directory);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	silent->hold = ends[1];
	given = fcntl(ends[0], F_DUPFD, 0);
	assert_true(given >= 0);
	close(ends[0]);
	snprintf(descriptor, sizeof(descriptor), "%d", given);
	if (bare)
		converse_start(&silent->talk,
			       (const char *const[]){built("tests/target/fork_silent"), kind,
						     descriptor, NULL},
			       preloaded(output));
	else
		converse_start(&silent->talk,
			       (const char *const[]){built("vmtrace"), "record", "-o", output, "--",
						     built("tests/target/fork_silent"), kind,
						     descriptor, NULL},
			       NULL);
	close(given);
	converse_read_line(&silent->talk);
	assert_int_equal(sscanf(silent->talk.line, "%" SCNd64 " %" SCNd64, &silent->child, &parent),
			 2);
	snprintf(silent->parent, sizeof(silent->parent), "%s/s.%lld.vmt", silent->directory,
		 (long long)parent);
	snprintf(silent->trace, sizeof(silent->trace), "%s/s.%lld.vmt", silent->directory,
		 (long long)silent->child);
	snprintf(silent->later, sizeof(silent->later), "%s/s.%lld.1.vmt", silent->directory,
		 (long long)silent->child);
}

static void
await_file(const char *path)
{
	int64_t deadline = now_ms() + 60000;

	while (access(path, F_OK) != 0) {
		assert_true(now_ms() < deadline);
		usleep(1000);
	}
}

/* But what it has of its own for a session. */
static size_t
count_traces(const struct silent *silent)
{
	char pattern[PATH_MAX + 16];
	glob_t found;
	size_t count = 0;

	snprintf(pattern, sizeof(pattern), "%s/*.vmt", silent->directory);
	if (glob(pattern, 0, NULL, &found) == 0)
		count = found.gl_pathc;
	globfree(&found);
	return count;
}

/* Until the collector of a bare preload has finished it. */
static void
await_end_of(const char *path)
{
	int64_t deadline = now_ms() + 60000;

	for (;;) {
		json_t *ends = dump(path, "end");
		size_t count = json_array_size(ends);

		json_decref(ends);
		if (count > 0)
			return;
		assert_true(now_ms() < deadline);
	}
}

static void
check_outside(const struct silent *silent, json_t *root)
{
	const int64_t mib = 1 << 20;

	check_report(root);
	assert_int_equal(number(member(root, "process"), "pid"), silent->child);
	assert_int_equal(site_sum(root, "mmap", "map_before", "committed_bytes"), 0);
	assert_in_range(class_committed(root, "inherited at fork"), 16 * mib, 17 * mib);
	assert_int_equal(number(member(root, "loss"), "events_missing"), 0);
	assert_true(tells(root, "seen from outside"));
	assert_true(tells(root, "shares with its parent"));
}

/* A child that makes no call that is recorded has a trace of what the kernel says of it, by its
 * own name, and an end. */
static void
check_silent_child(const char *kind, bool bare)
{
	struct silent silent;
	json_t *root;

	silent_begin(&silent, kind, bare);
	await_file(silent.trace);
	assert_int_equal(WEXITSTATUS(converse_end(&silent.talk)), 3);
	close(silent.hold);
	if (bare)
		await_end_of(silent.trace);
	assert_int_equal(count_traces(&silent), 2);
	root = report(silent.trace, NULL);
	check_outside(&silent, root);
	if (strcmp(json_string_value(member(member(root, "process"), "end")), "exit") == 0)
		assert_int_equal(number(member(root, "process"), "end_status"), 3);
	else /* a kernel that does not tell whoever is not the parent */
		assert_string_equal(json_string_value(member(member(root, "process"), "end")),
				    "cut");
	json_decref(root);
}

static void
test_silent_child(void **state)
{
	(void)state;
	check_silent_child("wait", false);
}

static void
test_silent_child_of_a_bare_preload(void **state)
{
	(void)state;
	check_silent_child("wait", true);
}

/* From its first call on it has a trace of its own, and the other says so. */
static void
test_silent_child_that_calls_later(void **state)
{
	struct silent silent;
	json_t *root;

	(void)state;
	silent_begin(&silent, "late", false);
	await_file(silent.trace);
	close(silent.talk.to);
	silent.talk.to = -1;
	await_file(silent.later);
	await_end_of(silent.trace);
	close(silent.hold);
	assert_int_equal(WEXITSTATUS(converse_end(&silent.talk)), 3);
	assert_int_equal(count_traces(&silent), 3);
	root = report(silent.trace, NULL);
	check_outside(&silent, root);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "stopped");
	assert_int_equal(number(member(root, "process"), "end_status"), 5);
	assert_true(json_is_null(member(member(root, "process"), "shortage")));
	json_decref(root);
	root = report(silent.later, NULL);
	check_report(root);
	assert_false(tells(root, "seen from outside"));
	assert_int_equal(site_sum(root, "mmap", "be_child", "reserved_bytes"), 5 * PAGE);
	json_decref(root);
}

/* Until so much of the process's life is in its trace. */
static void
await_life(const char *path, int64_t nanoseconds)
{
	int64_t deadline = now_ms() + 60000;
	int64_t duration_ns = 0;

	while (duration_ns < nanoseconds) {
		json_t *root = report(path, NULL);

		duration_ns = number(member(root, "process"), "duration_ns");
		json_decref(root);
		assert_true(now_ms() < deadline);
	}
}

/* Neither what it executes nor one that has its parent's memory is a fork child. */
static void
test_no_silent_children(void **state)
{
	static const struct {
		const char *kind;
		size_t traces;
		int status;
	} expected[] = {{"exec", 2, 0}, {"borrow", 1, 3}};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct silent silent;

		silent_begin(&silent, expected[i].kind, false);
		close(silent.hold);
		await_life(silent.parent, INT64_C(1500000000));
		assert_int_equal(WEXITSTATUS(converse_end(&silent.talk)), expected[i].status);
		assert_int_equal(count_traces(&silent), expected[i].traces);
	}
}

/* What a report of a process that forked says of its children, and that of one that did not. */
static void
test_silent_children_are_told(void **state)
{
	const char *path = scratch_file("silent.vmt");
	struct run run;

	(void)state;
	record(&run, path, (const char *const[]){"--follow", "none", NULL},
	       (const char *const[]){built("tests/target/fork_share"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	json_t *root = report(path, NULL);

	assert_true(tells(root, "its fork children were not to be recorded"));
	json_decref(root);
	record(&run, path, NULL, (const char *const[]){built("tests/target/fork_share"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(path, NULL);
	assert_true(tells(root, "without call sites if it lived for a second"));
	json_decref(root);
	record(&run, path, NULL, (const char *const[]){"/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(path, NULL);
	assert_false(tells(root, "forked"));
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_its_own),
	    cmocka_unit_test(test_unrecorded_children),
	    cmocka_unit_test(test_follow),
	    cmocka_unit_test(test_only),
	    cmocka_unit_test(test_shared_pages),
	    cmocka_unit_test(test_silent_children_are_told),
	    cmocka_unit_test(test_silent_child),
	    cmocka_unit_test(test_silent_child_of_a_bare_preload),
	    cmocka_unit_test(test_silent_child_that_calls_later),
	    cmocka_unit_test(test_no_silent_children),
	};

	return cmocka_run_group_tests_name("forks", tests, NULL, NULL);
}
