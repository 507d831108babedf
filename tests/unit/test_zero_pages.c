#include "tools/read/trace/zero_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PAGE UINT64_C(4096)
#define COPIED VMT_RUN_PRESENT
#define DOUBTFUL (VMT_RUN_PRESENT | VMT_RUN_SHARED)
#define MARKED (VMT_RUN_PRESENT | VMT_RUN_ZERO)

/* Anonymous memory of which 3 + 2 pages are in doubt, a file, and shared anonymous memory. */
struct world {
	struct vmt_run runs[6];
	struct vmt_snapshot_mapping mappings[3];
	struct vmt_snapshot snapshot;
};

static void
begin(struct world *world)
{
	*world = (struct world){
	    .runs = {{1 * PAGE, 3 * PAGE, DOUBTFUL},
		     {4 * PAGE, 10 * PAGE, COPIED},
		     {20 * PAGE, 2 * PAGE, DOUBTFUL},
		     {40 * PAGE, 5 * PAGE, DOUBTFUL | VMT_RUN_FILE},
		     {45 * PAGE, 1 * PAGE, DOUBTFUL},
		     {60 * PAGE, 4 * PAGE, DOUBTFUL}},
	    .mappings = {{{.start = PAGE, .end = 30 * PAGE}, 0, 3},
			 {{.start = 40 * PAGE, .end = 50 * PAGE, .inode = 7}, 3, 2},
			 {{.start = 60 * PAGE, .end = 64 * PAGE, .shared = true}, 5, 1}},
	};
	world->snapshot = (struct vmt_snapshot){.mappings = world->mappings, .runs = world->runs};
	world->snapshot.head.mappings = 3;
	world->snapshot.head.runs = 6;
	world->snapshot.head.source = VMT_RESIDENCY_PAGEMAP;
	world->snapshot.head.resident_bytes = 25 * PAGE;
	world->snapshot.head.rss_before_bytes = world->snapshot.head.rss_after_bytes = 20 * PAGE;
	world->snapshot.head.kernel.proportional_bytes = 18 * PAGE;
}

/* Whether the five pages in doubt are zero pages now; the others stay what they are. */
static bool
marks(struct world *world)
{
	vmt_zero_pages_mark(&world->snapshot);
	assert_int_equal(world->runs[0].kind, world->runs[2].kind);
	assert_int_equal(world->runs[1].kind, COPIED);
	assert_int_equal(world->runs[3].kind, DOUBTFUL | VMT_RUN_FILE);
	assert_int_equal(world->runs[4].kind, DOUBTFUL);
	assert_int_equal(world->runs[5].kind, DOUBTFUL);
	assert_true(world->runs[0].kind == MARKED || world->runs[0].kind == DOUBTFUL);
	return world->runs[0].kind == MARKED;
}

static void
what_the_kernel_does_not_count_is_the_zero_page(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	assert_true(marks(&world));
	assert_false(world.runs[1].kind & VMT_RUN_ZERO);
}

/* Pages shared after a fork are in RSS: which of all are which can't be told. */
static void
a_mixture_is_left(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	world.snapshot.head.rss_before_bytes = world.snapshot.head.rss_after_bytes = 22 * PAGE;
	assert_false(marks(&world));
	begin(&world);
	world.snapshot.head.rss_before_bytes = world.snapshot.head.rss_after_bytes = 25 * PAGE;
	assert_false(marks(&world));
	begin(&world);
	world.snapshot.head.rss_before_bytes = world.snapshot.head.rss_after_bytes = 27 * PAGE;
	assert_false(marks(&world));
}

static void
nothing_is_told_by_counters_that_lag_or_move(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	world.snapshot.head.kernel.proportional_bytes = VMT_FIGURE_UNKNOWN;
	assert_false(marks(&world));
	begin(&world);
	world.snapshot.head.rss_before_bytes = 19 * PAGE;
	assert_false(marks(&world));
	begin(&world);
	world.snapshot.head.rss_before_bytes = world.snapshot.head.rss_after_bytes = 0;
	assert_false(marks(&world));
	begin(&world);
	world.snapshot.head.source = VMT_RESIDENCY_PAGEMAP_SCAN;
	assert_false(marks(&world));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_kernel_does_not_count_is_the_zero_page),
	    cmocka_unit_test(a_mixture_is_left),
	    cmocka_unit_test(nothing_is_told_by_counters_that_lag_or_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
