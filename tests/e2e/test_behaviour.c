/*
 * test_behaviour.c: is every figure of every site exact, to the page?
 *
 * Each target program keeps its own books (tests/target/truth.h). It is recorded, stands still, and
 * is looked at from outside: a snapshot on request must show the RSS that smaps_rollup shows. Then
 * it ends, and each figure of its books must stand in the report.
 */
#include "tests/e2e/books.h"
#include "tests/e2e/observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BEHAVIOUR(name)                                                                            \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		observe(#name, NULL);                                                              \
	}

BEHAVIOUR(reserve_touch)
BEHAVIOUR(many_maps)
BEHAVIOUR(partial_munmap)
BEHAVIOUR(fixed_over_middle)
BEHAVIOUR(mremap_kinds)
BEHAVIOUR(mprotect_kinds)
BEHAVIOUR(advice)
BEHAVIOUR(shared_memfd)
BEHAVIOUR(file_half_read)
BEHAVIOUR(shmat)
BEHAVIOUR(brk_grow_shrink)
BEHAVIOUR(free_other_thread)
BEHAVIOUR(malloc_sites)
BEHAVIOUR(vast)
BEHAVIOUR(grows_down)

/* Committed bytes of a release over two sites are shared out by their lengths: the sum is exact. */
static void
test_spanning_release(void **state)
{
	const char *trace = scratch_file("spanning.vmt");
	struct run run;

	(void)state;
	record(&run, trace, NULL,
	       (const char *const[]){built("tests/target/spanning_release"), NULL});
	assert_int_equal(run.exit_status, 0);
	json_t *truth = json_loads(run.out, 0, NULL);
	json_t *figures = member(truth, "figures");
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	int64_t low = site_sum(root, "mmap", "map_low", "released_committed_bytes");
	int64_t high = site_sum(root, "mmap", "map_high", "released_committed_bytes");

	check_report(root);
	assert_int_equal(low + high, number(figures, "released_committed_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_low", "released_bytes"),
			 number(figures, "low_released_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_high", "released_bytes"),
			 number(figures, "high_released_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_low", "committed_bytes"),
			 number(figures, "low_committed_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_high", "committed_bytes"),
			 number(figures, "high_committed_bytes"));
	/* The first release: 3 of its 4 MiB are the low site's. */
	assert_true(low > 0 && high > low);
	json_decref(root);
	json_decref(truth);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reserve_touch),   cmocka_unit_test(test_many_maps),
	    cmocka_unit_test(test_partial_munmap),  cmocka_unit_test(test_fixed_over_middle),
	    cmocka_unit_test(test_mremap_kinds),    cmocka_unit_test(test_mprotect_kinds),
	    cmocka_unit_test(test_advice),	    cmocka_unit_test(test_shared_memfd),
	    cmocka_unit_test(test_file_half_read),  cmocka_unit_test(test_shmat),
	    cmocka_unit_test(test_brk_grow_shrink), cmocka_unit_test(test_free_other_thread),
	    cmocka_unit_test(test_malloc_sites),    cmocka_unit_test(test_vast),
	    cmocka_unit_test(test_grows_down),	    cmocka_unit_test(test_spanning_release),
	};

	return cmocka_run_group_tests_name("behaviour", tests, NULL, NULL);
}
