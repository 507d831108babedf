#include "collect/cpu_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MICROSECOND UINT64_C(1000)
#define MILLISECOND UINT64_C(1000000)
#define SECOND (1000 * MILLISECOND)
#define HOUR (3600 * SECOND)

static uint64_t random_state = 1;

static uint64_t
next_random(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return random_state >> 33;
}

/* An hour in which a snapshot is wanted in every step: what they cost in all. The bound is looked
 * at after each. */
static uint64_t
spend_an_hour(uint64_t step_ns, uint64_t cheapest_ns, uint64_t dearest_ns)
{
	const uint64_t start_ns = 7 * SECOND;
	struct vmt_cpu_budget credit;
	uint64_t spent_ns = 0;

	vmt_cpu_budget_begin(&credit, start_ns);
	for (uint64_t at_ns = 0; at_ns <= HOUR; at_ns += step_ns) {
		uint64_t cost_ns = cheapest_ns + next_random() % (dearest_ns - cheapest_ns + 1);

		if (!vmt_cpu_budget_is_there(&credit, start_ns + at_ns))
			continue;
		vmt_cpu_budget_spend(&credit, cost_ns);
		spent_ns += cost_ns;
		assert_true(spent_ns < at_ns / 100 + (uint64_t)VMT_CPU_BUDGET_FIRST_NS + cost_ns);
	}
	return spent_ns;
}

/* Costs as bench/snapshot shows them: small programs, a gibibyte, 100 GiB reserved, 60,000
 * mappings, and worse. Never more than the budget, and hardly less of it than is wanted. */
static void
keeps_to_a_hundredth(void **state)
{
	static const uint64_t costs_ns[][2] = {
	    {50 * MICROSECOND, 60 * MICROSECOND}, {3 * MILLISECOND, 5 * MILLISECOND},
	    {2 * MILLISECOND, 5 * MILLISECOND},	  {49 * MILLISECOND, 110 * MILLISECOND},
	    {50 * MICROSECOND, 3 * SECOND},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(costs_ns) / sizeof(costs_ns[0]); i++) {
		uint64_t most_ns = HOUR / 100 + (uint64_t)VMT_CPU_BUDGET_FIRST_NS + costs_ns[i][1];
		uint64_t spent_ns = spend_an_hour(MILLISECOND, costs_ns[i][0], costs_ns[i][1]);

		assert_in_range(spent_ns, HOUR / 100 - HOUR / 10000, most_ns);
	}
}

/* What costs less than is earned is taken whenever it is wanted. */
static void
takes_all_that_are_cheap(void **state)
{
	(void)state;
	assert_int_equal(spend_an_hour(10 * MILLISECOND, 60 * MICROSECOND, 60 * MICROSECOND),
			 (HOUR / (10 * MILLISECOND) + 1) * 60 * MICROSECOND);
}

static void
saves_up_so_much_and_no_more(void **state)
{
	struct vmt_cpu_budget credit;

	(void)state;
	vmt_cpu_budget_begin(&credit, 0);
	assert_true(vmt_cpu_budget_is_there(&credit, HOUR));
	vmt_cpu_budget_spend(&credit, (uint64_t)VMT_CPU_BUDGET_MAX_NS);
	assert_false(vmt_cpu_budget_is_there(&credit, HOUR));
	/* Not for a clock that stands, and not for one that goes back. */
	assert_false(vmt_cpu_budget_is_there(&credit, HOUR - SECOND));
	assert_false(vmt_cpu_budget_is_there(&credit, HOUR));
	assert_true(vmt_cpu_budget_is_there(&credit, HOUR + VMT_CPU_BUDGET_PART));
}

/* A quota of a tenth of a CPU: a tenth of the rate, and of what is saved up. What was earned before
 * it came was earned at the old rate. */
static void
earns_by_the_quota(void **state)
{
	struct vmt_cpu_budget credit;

	(void)state;
	vmt_cpu_budget_begin(&credit, 0);
	vmt_cpu_budget_set_part(&credit, SECOND, 100);
	assert_int_equal(credit.left_ns, VMT_CPU_BUDGET_FIRST_NS + (int64_t)(10 * MILLISECOND));
	assert_true(vmt_cpu_budget_is_there(&credit, SECOND));
	assert_int_equal(credit.left_ns, VMT_CPU_BUDGET_MAX_NS / 10);
	assert_false(vmt_cpu_budget_is_scarce(&credit));
	vmt_cpu_budget_spend(&credit, 20 * MILLISECOND);
	assert_false(vmt_cpu_budget_is_there(&credit, 11 * SECOND));
	assert_true(vmt_cpu_budget_is_there(&credit, 11 * SECOND + 2000));
	assert_int_equal(credit.left_ns, 2);
	assert_true(vmt_cpu_budget_is_scarce(&credit));
	vmt_cpu_budget_set_part(&credit, 11 * SECOND + 2000, VMT_CPU_BUDGET_WHOLE);
	assert_true(vmt_cpu_budget_is_there(&credit, 12 * SECOND + 2000));
	assert_int_equal(credit.left_ns, 2 + 10 * (int64_t)MILLISECOND);
}

struct spent {
	uint64_t readings_ns;
	uint64_t snapshots_ns;
	uint64_t readings;
	uint64_t longest_ns; /* from one reading to the next */
};

/* An hour in which a reading is wanted every 10 ms, and with each a snapshot, of 3 ms. */
static struct spent
read_for_an_hour(uint64_t reading_ns)
{
	const uint64_t snapshot_ns = 3 * MILLISECOND;
	struct vmt_cpu_budget credit;
	struct spent spent = {0};

	vmt_cpu_budget_begin(&credit, 0);
	for (uint64_t at_ns = 0, next_ns; at_ns <= HOUR; at_ns = next_ns) {
		if (vmt_cpu_budget_is_there(&credit, at_ns)) {
			vmt_cpu_budget_spend(&credit, snapshot_ns);
			spent.snapshots_ns += snapshot_ns;
		}
		vmt_cpu_budget_owe(&credit, reading_ns);
		spent.readings_ns += reading_ns;
		spent.readings++;
		next_ns = vmt_cpu_budget_wait_ns(&credit);
		next_ns = at_ns + (next_ns > 10 * MILLISECOND ? next_ns : 10 * MILLISECOND);
		if (next_ns - at_ns > spent.longest_ns)
			spent.longest_ns = next_ns - at_ns;
	}
	return spent;
}

/* 20 microseconds are a fifth of what is earned: the snapshots have the rest. */
static void
pays_for_readings_first(void **state)
{
	struct spent spent = read_for_an_hour(20 * MICROSECOND);

	(void)state;
	assert_int_equal(spent.longest_ns, 10 * MILLISECOND);
	assert_in_range(spent.snapshots_ns, HOUR / 1000 * 8 - HOUR / 10000,
			HOUR / 1000 * 8 + HOUR / 10000);
}

/* Ones of which ten milliseconds earn less than half: they come less often, so that they and the
 * snapshots stay within a hundredth. */
static void
has_dear_readings_wait(void **state)
{
	struct spent spent = read_for_an_hour(150 * MICROSECOND);

	(void)state;
	assert_in_range(spent.readings_ns, HOUR / 1000 * 4, HOUR / 1000 * 5 + HOUR / 10000);
	assert_in_range(spent.snapshots_ns + spent.readings_ns, HOUR / 100 - HOUR / 10000,
			HOUR / 100 + HOUR / 10000);
}

/* However dear a reading is: ten a second, and half for the snapshots. */
static void
keeps_half_for_snapshots(void **state)
{
	struct spent spent = read_for_an_hour(20 * MILLISECOND);

	(void)state;
	assert_in_range(spent.longest_ns, 100 * MILLISECOND, 100 * MILLISECOND);
	assert_true(spent.readings >= HOUR / (100 * MILLISECOND));
	assert_in_range(spent.snapshots_ns, HOUR / 1000 * 5 - HOUR / 10000,
			HOUR / 1000 * 5 + HOUR / 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keeps_to_a_hundredth),
	    cmocka_unit_test(takes_all_that_are_cheap),
	    cmocka_unit_test(saves_up_so_much_and_no_more),
	    cmocka_unit_test(earns_by_the_quota),
	    cmocka_unit_test(pays_for_readings_first),
	    cmocka_unit_test(has_dear_readings_wait),
	    cmocka_unit_test(keeps_half_for_snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
