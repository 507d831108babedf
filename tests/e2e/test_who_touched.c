/*
 * test_who_touched.c: does a report say whose touches made memory resident?
 *
 * The target's functions touch parts of what another one reserved, in small pieces once the
 * collector has its events open. At period 1 every page is credited to its function; at 61 about so
 * many are. A recording that lost samples is made again: losses are told, and tested elsewhere.
 */
#include "collect/touch_events.h"
#include "tests/e2e/fault_events.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/identities.h"
#include "tests/e2e/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_TRIES 20
#define PAGE 4096
#define FEW 1024   /* pages, at period 1 */
#define MANY 32768 /* at period 61: 128 MiB */

static json_t *
record_once(const char *trace, const char *period, const char *kind, int pages)
{
	struct conversation talk;
	char count[16];
	bool first = true;

	snprintf(count, sizeof(count), "%d", pages);
	converse_start(&talk,
		       (const char *const[]){built("vmtrace"), "record", "--malloc",
					     strcmp(kind, "heap") ? "all" : "sampled", "--touch",
					     period, "-o", trace, "--",
					     built("tests/target/committers"), kind, count, NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	do {
		converse_read_line(&talk);
		if (first)
			wait_for_events(trace);
		first = false;
		assert_int_equal(write(talk.to, "\n", 1), 1);
	} while (strcmp(talk.line, "done") != 0);
	assert_int_equal(converse_end(&talk), 0);
	return report(trace, (const char *const[]){"--at", "end", NULL});
}

/* Whole: no sample was lost or left out. */
static json_t *
record_whole(const char *trace, const char *period, const char *kind, int pages)
{
	for (int i = 0; i < MOST_TRIES; i++) {
		json_t *root = record_once(trace, period, kind, pages);
		json_t *touch = member(root, "touch");

		check_report(root);
		if (number(touch, "lost") == 0 && number(touch, "skipped") == 0)
			return root;
		json_decref(root);
	}
	fail_msg("each of %d recordings lost samples", MOST_TRIES);
	return NULL;
}

static const char *
function_of(json_t *row, size_t frame)
{
	const char *name = json_string_value(
	    json_object_get(json_array_get(member(row, "frames"), frame), "function"));

	return name ? name : "";
}

/* Whether the function is one of the innermost frames of a row: a copying one may be within it. */
static bool
is_by(json_t *row, const char *function)
{
	for (size_t i = 0; i < 6; i++)
		if (strcmp(function_of(row, i), function) == 0)
			return true;
	return false;
}

/* What the function touched of what a site has. */
static int64_t
touched_of(json_t *root, json_t *site, const char *function)
{
	json_t *rows = member(root, "committed_by");
	int64_t bytes = 0;

	assert_non_null(site);
	for (size_t i = 0; i < json_array_size(member(site, "touched_by")); i++) {
		json_t *part = json_array_get(member(site, "touched_by"), i);
		json_t *row = json_array_get(rows, (size_t)number(part, "committed_by"));

		if (is_by(row, function))
			bytes += number(part, "committed_bytes");
	}
	return bytes;
}

/* ... of what the region's site has. */
static int64_t
touched(json_t *root, const char *function)
{
	return touched_of(root, find_site(root, "mmap", "reserve_region", 1), function);
}

static void
the_matrix_is_exact_at_period_1(void **state)
{
	json_t *root;

	(void)state;
	if (lacks_events())
		skip();
	root = record_whole(scratch_file("story.vmt"), "1", "story", FEW);
	identities_check(root, "committers");
	assert_int_equal(touched(root, "fill_quarter"), FEW / 4 * PAGE);
	assert_int_equal(touched(root, "fill_eighth"), FEW / 8 * PAGE);
	assert_int_equal(site_sum(root, "mmap", "reserve_region", "committed_bytes"),
			 FEW * 3 / 8 * PAGE);
	assert_int_equal(site_sum(root, "mmap", "reserve_region", "unsampled_bytes"), 0);
	json_decref(root);
}

static void
assert_about(int64_t found, int64_t expected, int percent)
{
	if (found < expected - expected * percent / 100 ||
	    found > expected + expected * percent / 100)
		fail_msg("%lld is not within %d %% of %lld", (long long)found, percent,
			 (long long)expected);
}

static void
the_matrix_is_about_right_at_period_61(void **state)
{
	json_t *root;

	(void)state;
	if (lacks_events())
		skip();
	root = record_whole(scratch_file("story61.vmt"), "61", "story", MANY);
	identities_check(root, "committers");
	assert_about(touched(root, "fill_quarter"), MANY / 4 * (int64_t)PAGE, 10);
	assert_about(touched(root, "fill_eighth"), MANY / 8 * (int64_t)PAGE, 10);
	assert_true(json_is_true(member(
	    json_array_get(member(find_site(root, "mmap", "reserve_region", 1), "touched_by"), 0),
	    "estimate")));
	json_decref(root);
}

static void
those_who_take_turns_have_the_same(void **state)
{
	json_t *root;

	(void)state;
	if (lacks_events())
		skip();
	root = record_whole(scratch_file("turns.vmt"), "61", "turns", MANY);
	identities_check(root, "committers");
	for (int i = 0; i < 8; i++) {
		char name[16];

		snprintf(name, sizeof(name), "turn_%d", i);
		assert_about(touched(root, name), MANY / 8 * (int64_t)PAGE, 15);
	}
	json_decref(root);
}

/* glibc gives its heap back by calls that nobody sees. What is touched there anew is the last
 * toucher's all the same. */
static void
memory_that_malloc_gave_back_is_the_last_touchers(void **state)
{
	json_t *root, *site;

	(void)state;
	if (lacks_events())
		skip();
	root = record_whole(scratch_file("trim.vmt"), "61", "trim", FEW * 4);
	identities_check(root, "committers");
	site = find_site(root, "malloc", "allocate", 1);
	assert_about(touched_of(root, site, "fill_eighth"), FEW * 4 * (int64_t)PAGE, 10);
	json_decref(root);
}

/* What rows of a function have. */
static int64_t
sum_by(json_t *root, const char *function, const char *figure)
{
	json_t *rows = member(root, "committed_by");
	int64_t sum = 0;

	for (size_t i = 0; i < json_array_size(rows); i++)
		if (is_by(json_array_get(rows, i), function))
			sum += number(json_array_get(rows, i), figure);
	return sum;
}

/* A heap that grows by small blocks, of which few are recorded: nothing of it comes back, so the
 * samples count. The blocks say roughly what each function has, the heap what both have. */
static void
check_heap(const char *period, int pages, int percent)
{
	json_t *root = record_whole(scratch_file("heap.vmt"), period, "heap", pages);
	int64_t samples = sum_by(root, "grow_half", "samples");

	identities_check(root, "committers");
	assert_about(sum_by(root, "grow_half", "committed_bytes"), pages / 2 * (int64_t)PAGE, 50);
	assert_about(sum_by(root, "grow_half", "committed_bytes") +
			 sum_by(root, "grow_quarter", "committed_bytes"),
		     pages * 3 / 4 * (int64_t)PAGE, percent);
	assert_in_range(sum_by(root, "grow_half", "samples_now"), samples / 2, samples);
	json_decref(root);
}

static void
samples_of_a_growing_heap_count(void **state)
{
	(void)state;
	if (lacks_events())
		skip();
	check_heap("1", FEW * 8, 6);
	check_heap("61", MANY, 10);
}

/* Half of what was there before the fork was written to after it. */
static void
a_write_after_a_fork_is_told(void **state)
{
	json_t *root, *rows;
	int64_t unshared = 0;

	(void)state;
	if (lacks_events())
		skip();
	root = record_whole(scratch_file("fork.vmt"), "1", "fork", FEW);
	identities_check(root, "committers");
	rows = member(root, "committed_by");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		if (is_by(json_array_get(rows, i), "rewrite_half"))
			unshared += number(json_array_get(rows, i), "unshared_bytes");
		if (is_by(json_array_get(rows, i), "fill_quarter"))
			assert_int_equal(number(json_array_get(rows, i), "unshared_bytes"), 0);
	}
	assert_int_equal(unshared, FEW / 8 * PAGE);
	assert_int_equal(touched(root, "rewrite_half"), FEW / 8 * PAGE);
	assert_int_equal(touched(root, "fill_quarter"), FEW / 8 * PAGE);
	json_decref(root);
}

/* A fork child that makes no memory call, and so is recorded from outside. Its trace's name comes
 * from its parent's. */
static void
record_child(const char *trace, int pages, char *child_trace, size_t room)
{
	struct conversation talk;
	char count[16];
	char name[64];
	int child;

	snprintf(count, sizeof(count), "%d", pages);
	converse_start(&talk,
		       (const char *const[]){built("vmtrace"), "record", "--touch", "1", "-o",
					     trace, "--", built("tests/target/committers"), "child",
					     count, NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	do {
		converse_read_line(&talk);
		if (sscanf(talk.line, "child %d", &child) == 1) {
			snprintf(name, sizeof(name), "parent.%d.vmt", child);
			snprintf(child_trace, room, "%s", scratch_file(name));
			wait_for_events(child_trace);
			/* That shows which pages were there before. */
			living_snapshot(child_trace);
		}
		/* And that, what is its own: it would be dropped as one that did nothing. */
		if (strcmp(talk.line, "written") == 0)
			living_snapshot(child_trace);
		assert_int_equal(write(talk.to, "\n", 1), 1);
	} while (strcmp(talk.line, "done") != 0);
	assert_int_equal(converse_end(&talk), 0);
}

/* It has no modules of its own: names come from its parent's. */
static void
a_child_without_calls_is_told_by_name(void **state)
{
	const int64_t written = MANY / 8 * PAGE;
	char child_trace[4096];
	json_t *root, *rows;
	int64_t unshared = 0;
	int64_t left;

	(void)state;
	if (lacks_events())
		skip();
	record_child(scratch_file("parent.vmt"), MANY, child_trace, sizeof(child_trace));
	root = report(child_trace, (const char *const[]){"--at", "end", NULL});
	check_report(root);
	identities_check(root, "child");
	rows = member(root, "committed_by");
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (is_by(json_array_get(rows, i), "rewrite_half"))
			unshared += number(json_array_get(rows, i), "unshared_bytes");
	left = (number(member(root, "touch"), "lost") + number(member(root, "touch"), "skipped")) *
	       PAGE;
	assert_in_range(unshared, written > left ? written - left : 0, written);
	assert_true(unshared > 0);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_matrix_is_exact_at_period_1),
	    cmocka_unit_test(the_matrix_is_about_right_at_period_61),
	    cmocka_unit_test(those_who_take_turns_have_the_same),
	    cmocka_unit_test(memory_that_malloc_gave_back_is_the_last_touchers),
	    cmocka_unit_test(samples_of_a_growing_heap_count),
	    cmocka_unit_test(a_write_after_a_fork_is_told),
	    cmocka_unit_test(a_child_without_calls_is_told_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
