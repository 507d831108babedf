/* Which readings of a Go heap are allowed, by what they cost. */
#include "collect/go_heap_cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)
#define START (1000 * MS)

static void
a_small_heap_is_always_read(void **state)
{
	struct vmt_go_heap_cost cost = {0};

	(void)state;
	assert_true(vmt_go_heap_cost_allows(&cost, 220, 0, START));
	assert_true(vmt_go_heap_cost_allows(&cost, 2000, 0, START));
	assert_false(vmt_go_heap_cost_allows(&cost, 2001, 0, START));
	/* What a row costs where there are few says little. */
	vmt_go_heap_cost_learn(&cost, 220, 2 * MS, START);
	assert_true(vmt_go_heap_cost_allows(&cost, 220, 0, START));
}

static void
a_large_one_is_read_where_the_snapshot_allows_it(void **state)
{
	struct vmt_go_heap_cost cost = {0};

	(void)state;
	assert_true(vmt_go_heap_cost_allows(&cost, 100000, 50 * MS, START));
	assert_false(vmt_go_heap_cost_allows(&cost, 100000, 50 * MS - 1, START));
}

static void
what_it_has_cost_is_learned(void **state)
{
	struct vmt_go_heap_cost cost = {0};

	(void)state;
	assert_false(vmt_go_heap_cost_allows(&cost, 100000, 20 * MS, START));
	vmt_go_heap_cost_learn(&cost, 100000, 15 * MS, START);
	assert_true(vmt_go_heap_cost_allows(&cost, 100000, 20 * MS, START));
	vmt_go_heap_cost_learn(&cost, 100000, 80 * MS, START);
	assert_false(vmt_go_heap_cost_allows(&cost, 100000, 20 * MS, START));
	/* A reading that was held up does not stop all others. */
	vmt_go_heap_cost_learn(&cost, 2000, 60000 * MS, START);
	assert_true(vmt_go_heap_cost_of(&cost, 2000) <= 20 * MS);
}

/* However dear it is, it gets a hundredth of the time, and no more. */
static void
a_dear_one_is_read_now_and_then(void **state)
{
	struct vmt_go_heap_cost cost = {0};
	uint64_t spent_ns = 0;

	(void)state;
	for (uint64_t now_ns = START; now_ns <= START + 60000 * MS; now_ns += 100 * MS) {
		if (!vmt_go_heap_cost_allows(&cost, 100000, 0, now_ns))
			continue;
		vmt_go_heap_cost_learn(&cost, 100000, 50 * MS, now_ns);
		spent_ns += 50 * MS;
	}
	assert_in_range(spent_ns, 500 * MS, 600 * MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_small_heap_is_always_read),
	    cmocka_unit_test(a_large_one_is_read_where_the_snapshot_allows_it),
	    cmocka_unit_test(what_it_has_cost_is_learned),
	    cmocka_unit_test(a_dear_one_is_read_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
