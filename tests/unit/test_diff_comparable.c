/* Does a diff name first why its two sides are not what was to be compared? */
#include "tools/render/diff_headline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/diff_fixture.h"

#define EXEC "replaced itself with another program (exec)"
#define SAME                                                                                       \
	"Nothing changed. Reserved flat at 2 MiB, committed flat at 1 MiB (two runs of one "       \
	"program may differ by 512 KiB)."

static struct pair world;

static int
begin(void **state)
{
	(void)state;
	pair_begin(&world);
	return 0;
}

static void
expect_continued(const char *next, const char *last, const char *expected)
{
	struct vmt_diff *diff = pair_diff(&world);
	char text[2048];

	diff->continues_a = (struct vmt_diff_continuation){next, last};
	diff->continues_b = (struct vmt_diff_continuation){"b.8.vmt", "b.8.vmt"};
	vmt_diff_headline_write(diff, text, sizeof(text));
	assert_string_equal(text, expected);
	vmt_diff_free(diff);
}

/* Two shells that executed a service don't say what became of the service. */
static void
what_a_process_executed_is_named_first(void **state)
{
	(void)state;
	pair_class(&world.a, "mmap", MIB(2), MIB(1));
	pair_class(&world.b, "mmap", MIB(2), MIB(1));
	expect_continued("a.7.vmt", "a.7.vmt", SAME);
	world.a.report.process.end = "exec";
	expect_continued("a.7.vmt", "a.7.vmt",
			 "A " EXEC " and continues in a.7.vmt. Only what came before is "
			 "compared. " SAME);
	expect_continued("a.7.vmt", "a.7.1.vmt",
			 "A " EXEC " and continues in a.7.vmt, finally in a.7.1.vmt. Only what "
			 "came before is compared. " SAME);
	world.b.report.process.end = "exec";
	expect_continued("", "",
			 "A " EXEC ", whose trace was not found. B " EXEC " and continues in "
			 "b.8.vmt. Only what came before is compared. " SAME);
}

/* Of one trace, the third snapshot. */
static void
begin_one_snapshot(void)
{
	struct vmt_report *reports[] = {&world.a.report, &world.b.report};

	pair_class(&world.a, "mmap", MIB(2), MIB(1));
	pair_class(&world.b, "mmap", MIB(2), MIB(1));
	for (int i = 0; i < 2; i++) {
		reports[i]->process.start_unix_ns = 1700000000000000000;
		reports[i]->process.duration_ns = 70000000;
		reports[i]->snapshot.time_ns = 63000000;
		reports[i]->snapshot.index = 2;
	}
}

static void
a_snapshot_is_not_compared_with_itself(void **state)
{
	struct vmt_diff *diff;

	(void)state;
	begin_one_snapshot();
	diff = pair_diff(&world);
	assert_string_equal(vmt_diff_kind_word(diff->verdict.kind), "unknown");
	vmt_diff_free(diff);
	pair_expect_headline(
	    &world, "A and B are the same snapshot, at 63 ms: there is nothing to compare.");
	world.b.report.snapshot.index = 1;
	pair_expect_headline(&world, SAME);
	world.b.report.snapshot.index = 2;
	world.b.report.process.pid++;
	pair_expect_headline(&world, SAME);
}

static void
a_time_after_the_end_is_named_first(void **state)
{
	(void)state;
	begin_one_snapshot();
	world.a.report.snapshot.after_end = world.b.report.snapshot.after_end = true;
	pair_expect_headline(
	    &world, "The trace ends at 70 ms, before the time asked for: its last snapshot "
		    "stands for that. A and B are the same snapshot, at 63 ms: there is "
		    "nothing to compare.");
	world.b.report.process.start_unix_ns++;
	world.a.report.snapshot.after_end = false;
	pair_expect_headline(
	    &world, "B ends at 70 ms, before the time asked for: its last snapshot stands for "
		    "that. " SAME);
	world.b.report.process.end = "running";
	pair_expect_headline(
	    &world, "B goes up to 70 ms so far, before the time asked for: its last snapshot "
		    "stands for that. " SAME);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_a_process_executed_is_named_first, begin),
	    cmocka_unit_test_setup(a_snapshot_is_not_compared_with_itself, begin),
	    cmocka_unit_test_setup(a_time_after_the_end_is_named_first, begin),
	};

	return cmocka_run_group_tests_name("comparable", tests, NULL, NULL);
}
