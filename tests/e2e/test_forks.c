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

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
	    "neither has written"));
	json_decref(parent);
	json_decref(child);
	json_decref(truth);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_its_own), cmocka_unit_test(test_unrecorded_children),
	    cmocka_unit_test(test_follow),	 cmocka_unit_test(test_only),
	    cmocka_unit_test(test_shared_pages),
	};

	return cmocka_run_group_tests_name("forks", tests, NULL, NULL);
}
