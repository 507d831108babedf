/* The sentence of a tree says what is certain, and of the rest that it is not. */
#include "tools/render/tree_text.h"

#include "tools/model/tree/tree_moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static char said[1024];
static struct vmt_tree_process processes[2];
static struct vmt_tree_family family;
static struct vmt_tree tree = {
    .processes = processes, .count = 2, .families = &family, .family_count = 1};

/* Two processes that ended, each with a snapshot. */
static void
begin(void)
{
	memset(processes, 0, sizeof(processes));
	for (size_t i = 0; i < 2; i++)
		processes[i].end = "exit";
	family = (struct vmt_tree_family){.traces = 2,
					  .there = 2,
					  .moment_ns = 700000000,
					  .skew_ns = 60000000,
					  .moment_rss_bytes = 480 * MIB,
					  .sum = {.rss_bytes = 480 * MIB,
						  .once_bytes = VMT_FIGURE_UNKNOWN,
						  .outside_bytes = VMT_FIGURE_UNKNOWN}};
}

static void
say(void)
{
	assert_ptr_equal(vmt_tree_text_sum(&tree, &family, said, sizeof(said)), said);
}

/* The snapshots are older than what made the peak, and what is shared is not known: neither is a
 * bound. */
static void
adds_up_what_was_read_at_the_moment(void **state)
{
	(void)state;
	begin();
	family.sum.rss_bytes = 379 * MIB;
	family.sum.is_short = true;
	say();
	assert_string_equal(
	    said, "RSS of 2 processes added up: about 480 MiB at the peak, 700 ms after the start."
		  " Which pages they share is not known: together they may have less in RAM.");
}

/* What has no snapshot is in the sum of what was read, and what was never read is named. */
static void
counts_who_was_read(void **state)
{
	(void)state;
	begin();
	family.there = 3;
	family.unseen = 2;
	family.unread = 1;
	say();
	assert_non_null(strstr(said, "RSS of 2 processes added up: about 480 MiB"));
	assert_non_null(strstr(said, " RSS of 1 more was not read until then."));
	family.unread = family.unseen = 3;
	say();
	assert_string_equal(said, "Nothing was read of the 3 processes that were there at the peak,"
				  " 700 ms after the start.");
}

static void
says_at_least_where_snapshots_are_short(void **state)
{
	(void)state;
	begin();
	family.sum.once_bytes = 300 * MIB;
	say();
	assert_memory_equal(said, "300 MiB in RAM together at the peak", 35);
	assert_null(strstr(said, "at the moment itself"));
	family.sum.is_estimate = true;
	say();
	assert_memory_equal(said, "About 300 MiB", 13);
	family.sum.rss_bytes = 390 * MIB;
	family.sum.is_short = family.sum.is_least = true;
	say();
	assert_memory_equal(said, "At least about 300 MiB", 22);
	assert_non_null(strstr(said, "(RSS added up: 390 MiB)"));
	assert_non_null(strstr(said, "RSS that was read at the moment itself: 480 MiB added up."));
}

/* As of processes that grew behind their last snapshots: these are no figure of the peak. */
static void
what_outgrew_its_snapshots_leads(void **state)
{
	(void)state;
	begin();
	family.moment_rss_bytes = 109 * MIB;
	family.sum.rss_bytes = 8 * MIB;
	family.sum.once_bytes = 7 * MIB;
	family.sum.is_estimate = family.sum.is_short = family.sum.is_least = true;
	say();
	assert_string_equal(
	    said,
	    "RSS of 2 processes added up: about 109 MiB at the peak, 700 ms after the start, "
	    "shared pages once for each. At least about 7 MiB with each shared page counted "
	    "once, in the snapshots of 2 processes, which have less (RSS added up: 8 MiB). By "
	    "snapshots of at most 60 ms before or after.");
	family.there = 3;
	family.unread = family.unseen = 1;
	say();
	assert_non_null(strstr(said, "once for each. RSS of 1 more was not read until then. At "));
	/* A quarter more is what counters and times explain. */
	family.moment_rss_bytes = 10 * MIB;
	say();
	assert_memory_equal(said, "At least about 7 MiB", 20);
}

static void
says_who_has_no_trace(void **state)
{
	(void)state;
	begin();
	family.sum.once_bytes = 300 * MIB;
	family.sum.is_estimate = family.sum.is_least = true;
	family.untraced = (struct vmt_tree_untraced){
	    .told = 7, .there = 5, .most_private_bytes = 20 * MIB, .private_bytes = 90 * MIB};
	say();
	assert_memory_equal(said, "At least about 300 MiB", 22);
	assert_non_null(strstr(said, " 5 processes without a trace are not in it (up to 20 MiB "
				     "private each was read)."));
	family.untraced.unread = 2;
	say();
	assert_non_null(strstr(said, " private each was read), of some nothing was read."));
	family.untraced.there = family.untraced.unread = 1;
	say();
	assert_non_null(strstr(said, " 1 process without a trace is not in it, nothing was read."));
}

/* Of a time at which RSS is as good as the most, the latest: pages may have been copied since. */
static void
takes_the_latest_of_equal_times(void **state)
{
	struct vmt_tree_point first[] = {{100, 4000}, {200, 3990}, {240, 4000}, {260, 3000}};
	struct vmt_tree_point second[] = {{150, 4000}, {300, 100}};

	(void)state;
	begin();
	family = (struct vmt_tree_family){.traces = 2};
	processes[0].points = first;
	processes[0].point_count = 4;
	processes[0].end_ns = 400;
	processes[1].points = second;
	processes[1].point_count = 2;
	processes[1].end_ns = 400;
	assert_true(vmt_tree_moment_find(&tree));
	assert_int_equal(family.moment_ns, 240);
	assert_int_equal(family.moment_rss_bytes, 8000);
	/* Not over a process that goes, little as it may have. */
	second[0].rss_bytes = 4;
	second[1] = (struct vmt_tree_point){210, 4};
	processes[1].end_ns = 230;
	family = (struct vmt_tree_family){.traces = 2};
	assert_true(vmt_tree_moment_find(&tree));
	assert_int_equal(family.moment_ns, 210);
}

/* A process that began before the moment and was first read behind it. */
static void
knows_who_was_not_read_until_then(void **state)
{
	struct vmt_tree_point first[] = {{100, 50}, {200, 400}, {240, 10}};
	struct vmt_tree_point second[] = {{250, 5}};

	(void)state;
	begin();
	family = (struct vmt_tree_family){.traces = 2};
	processes[0].points = first;
	processes[0].point_count = 3;
	processes[0].end_ns = 400;
	processes[1].points = second;
	processes[1].point_count = 1;
	processes[1].start_ns = 150;
	processes[1].end_ns = 400;
	assert_true(vmt_tree_moment_find(&tree));
	assert_int_equal(family.moment_ns, 200);
	assert_int_equal(family.moment_rss_bytes, 400);
	assert_int_equal(family.there, 2);
	assert_int_equal(family.unread, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(adds_up_what_was_read_at_the_moment),
	    cmocka_unit_test(counts_who_was_read),
	    cmocka_unit_test(says_at_least_where_snapshots_are_short),
	    cmocka_unit_test(what_outgrew_its_snapshots_leads),
	    cmocka_unit_test(knows_who_was_not_read_until_then),
	    cmocka_unit_test(says_who_has_no_trace),
	    cmocka_unit_test(takes_the_latest_of_equal_times),
	};

	return cmocka_run_group_tests_name("tree_text", tests, NULL, NULL);
}
