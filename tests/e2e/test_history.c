/*
 * test_history.c: does the history in a report's JSON tell what each snapshot's own report does?
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MIB INT64_C(1048576)

static const char *const figures[] = {"reserved_bytes", "accessible_bytes",    "committed_bytes",
				      "swapped_bytes",	"never_touched_bytes", "hugetlb_bytes"};

#define FIGURES (sizeof(figures) / sizeof(*figures))

static json_t *
report_at(const char *trace, int64_t time_ns)
{
	char at[32];

	snprintf(at, sizeof(at), "%" PRId64 "us", (time_ns + 999) / 1000);
	return report(trace, (const char *const[]){"--at", at, NULL});
}

static json_t *
row_of_class(json_t *classes, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach(classes, i, row) if (strcmp(json_string_value(member(row, "name")),
						       name) == 0) return row;
	fail_msg("no class %s", name);
	return NULL;
}

static void
expect_figures(json_t *row, json_t *wanted, const char *what)
{
	for (size_t i = 0; i < FIGURES; i++)
		if (number(row, figures[i]) != number(wanted, figures[i]))
			fail_msg("%s: %s is %" PRId64 ", and in its own report %" PRId64, what,
				 figures[i], number(row, figures[i]), number(wanted, figures[i]));
}

static void
expect_classes(json_t *point, json_t *alone)
{
	json_t *wanted;
	size_t i;

	assert_int_equal(number(point, "rss_bytes"),
			 number(member(alone, "snapshot"), "rss_bytes"));
	assert_int_equal(json_array_size(member(point, "classes")),
			 json_array_size(member(alone, "classes")));
	json_array_foreach(member(alone, "classes"), i, wanted)
	{
		const char *name = json_string_value(member(wanted, "name"));

		expect_figures(row_of_class(member(point, "classes"), name), wanted, name);
	}
}

/* The row of the same call: here no two stacks are one. */
static json_t *
same_site(json_t *doc, json_t *site)
{
	json_t *row;
	size_t i;

	json_array_foreach(member(doc, "sites"), i,
			   row) if (number(row, "stack_id") == number(site, "stack_id") &&
				    strcmp(json_string_value(member(row, "kind")),
					   json_string_value(member(site, "kind"))) ==
					0) return row;
	fail_msg("a site of the history has no row in the snapshot's own report");
	return NULL;
}

/* With what no site has, they are all of RSS; estimates are rounded, each for itself. */
static void
expect_sum(int64_t sum, int64_t rss_bytes, int64_t estimates)
{
	if (sum < rss_bytes || sum > rss_bytes + estimates)
		fail_msg("all add up to %" PRId64 ", and RSS is %" PRId64, sum, rss_bytes);
}

static void
expect_sites(json_t *doc, json_t *snapshot, json_t *alone)
{
	int64_t sum = 0;
	int64_t estimates = 0;
	json_t *row;
	size_t i;

	json_array_foreach(member(snapshot, "sites"), i, row)
	{
		json_t *site = json_array_get(member(doc, "sites"), (size_t)number(row, "site"));
		json_t *wanted = same_site(alone, site);

		expect_figures(row, wanted, json_string_value(member(site, "kind")));
		assert_int_equal(number(row, "live_count"), number(wanted, "live_count"));
		sum += number(row, "committed_bytes");
		estimates += json_is_true(member(site, "estimate"));
	}
	json_array_foreach(member(snapshot, "no_site"), i, row) sum +=
	    number(row, "committed_bytes");
	expect_sum(sum, number(member(alone, "snapshot"), "rss_bytes"), estimates);
}

/* Returns how many snapshots there are. */
static size_t
compare(const char *trace)
{
	json_t *doc = report(trace, NULL);
	json_t *history = member(doc, "history");
	json_t *line = member(history, "line");
	json_t *snapshots = member(history, "snapshots");
	size_t count = json_array_size(line);
	size_t next = 0;

	assert_int_equal(count, number(member(doc, "snapshot"), "count"));
	for (size_t i = 0; i < count; i++) {
		json_t *point = json_array_get(line, i);
		json_t *alone = report_at(trace, number(point, "time_ns"));
		json_t *snapshot = json_array_get(snapshots, next);

		assert_int_equal(number(point, "index"),
				 number(member(alone, "snapshot"), "index"));
		expect_classes(point, alone);
		if (snapshot && number(snapshot, "index") == number(point, "index")) {
			expect_sites(doc, snapshot, alone);
			next++;
		}
		json_decref(alone);
	}
	assert_int_equal(next, json_array_size(snapshots));
	assert_int_equal(next, count < 24 ? count : 24);
	json_decref(doc);
	return count;
}

static void
tell(struct conversation *talk, const char *what)
{
	assert_true(dprintf(talk->to, "%s\n", what) > 0);
	converse_read_line(talk);
	assert_string_equal(talk->line, what);
}

/* The most that the calls of a function ever had. */
static int64_t
most_of(json_t *doc, const char *function)
{
	json_t *site = find_site(doc, "mmap", function, 2);
	json_t *snapshot, *row;
	int64_t most = 0;
	size_t i, j;

	assert_non_null(site);
	json_array_foreach(member(member(doc, "history"), "snapshots"), i, snapshot)
	    json_array_foreach(member(snapshot, "sites"), j, row)
	{
		bool is_it =
		    json_array_get(member(doc, "sites"), (size_t)number(row, "site")) == site;

		if (is_it && number(row, "committed_bytes") > most)
			most = number(row, "committed_bytes");
	}
	return most;
}

static void
memory_that_comes_and_goes_is_seen_in_each_moment(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("moments.vmt");
	json_t *doc;

	(void)state;
	converse_start(&talk, (const char *const[]){built("tests/target/moments"), NULL},
		       preloaded(trace));
	converse_read_line(&talk);
	tell(&talk, "spike");
	living_snapshot(trace);
	tell(&talk, "drop");
	tell(&talk, "keep");
	living_snapshot(trace);
	converse_end(&talk);
	living_wait_end(trace);
	assert_true(compare(trace) >= 2);
	doc = report(trace, (const char *const[]){"--at", "end", NULL});
	assert_int_equal(most_of(doc, "map_spike"), 60 * MIB);
	assert_int_equal(most_of(doc, "map_kept"), 20 * MIB);
	json_decref(doc);
}

static void
threads_and_blocks_are_those_of_each_moment(void **state)
{
	static const char *const programs[] = {"threads_at_once", "retained", "malloc_sites"};

	(void)state;
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		char program[64];
		struct run run;
		const char *trace = scratch_file("program.vmt");

		snprintf(program, sizeof(program), "tests/target/%s", programs[i]);
		record(&run, trace, (const char *const[]){"--malloc", "all", NULL},
		       (const char *const[]){built(program), NULL});
		assert_int_equal(run.exit_status, 0);
		run_free(&run);
		assert_true(compare(trace) >= 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_that_comes_and_goes_is_seen_in_each_moment),
	    cmocka_unit_test(threads_and_blocks_are_those_of_each_moment),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
