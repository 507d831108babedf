/* Periods under storms and in calm, by a clock of the test's own; times of events in two clocks. */
#include "collect/touch_clock.h"
#include "collect/touch_pace.h"

#include "base/ticks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND (1000 * MILLISECOND)
#define ROUND_NS (4 * MILLISECOND)
#define SAMPLE_NS 5000u

struct storm {
	struct vmt_touch_pace pace;
	uint64_t now_ns;
	uint64_t begun_ns;
	uint64_t period;
	uint64_t cpu_ns;
	uint64_t skipped;
	uint64_t changes;
};

static struct storm
begin(void)
{
	struct storm storm = {.now_ns = 1000 * SECOND, .begun_ns = 1000 * SECOND};

	vmt_touch_pace_begin(&storm.pace, storm.now_ns);
	storm.period = vmt_touch_pace_period(&storm.pace, storm.now_ns);
	assert_int_equal(storm.period, VMT_TOUCH_PACE_FIRST_PERIOD);
	return storm;
}

/* So many faults a second for so long: each sample costs SAMPLE_NS, unless it is skipped. */
static void
run(struct storm *storm, uint64_t faults_a_second, uint64_t long_ns)
{
	uint64_t until_ns = storm->now_ns + long_ns;

	while (storm->now_ns < until_ns) {
		uint64_t samples = faults_a_second * ROUND_NS / SECOND / storm->period;
		uint64_t cost_ns = samples * SAMPLE_NS;
		uint64_t period;

		storm->now_ns += ROUND_NS;
		if (vmt_touch_pace_is_over(&storm->pace)) {
			storm->skipped += samples;
			cost_ns = 0;
		}
		storm->cpu_ns += cost_ns;
		vmt_touch_pace_spend(&storm->pace, storm->now_ns, VMT_CPU_BUDGET_WHOLE, cost_ns);
		period = vmt_touch_pace_period(&storm->pace, storm->now_ns);
		storm->changes += period != storm->period;
		storm->period = period;
	}
}

static void
a_quiet_process_keeps_the_first_period(void **state)
{
	struct storm storm = begin();

	(void)state;
	run(&storm, 100000, 100 * SECOND);
	assert_int_equal(storm.period, VMT_TOUCH_PACE_FIRST_PERIOD);
	assert_int_equal(storm.changes, 0);
	assert_int_equal(storm.skipped, 0);
}

static void
a_storm_stays_within_the_budget(void **state)
{
	(void)state;
	for (uint64_t faults = 500000; faults <= 64000000; faults *= 2) {
		struct storm storm = begin();
		uint64_t allowed_ns;

		run(&storm, faults, 60 * SECOND);
		allowed_ns = (uint64_t)VMT_CPU_BUDGET_FIRST_NS + (uint64_t)VMT_TOUCH_PACE_DEBT_NS +
			     (storm.now_ns - storm.begun_ns) / VMT_CPU_BUDGET_PART;
		/* And what one round has cost before it could be known. */
		allowed_ns += faults * ROUND_NS / SECOND / VMT_TOUCH_PACE_FIRST_PERIOD * SAMPLE_NS;
		assert_true(storm.cpu_ns <= allowed_ns);
		/* No more than needed: a fifth of the budget is used at the least. */
		assert_true(storm.cpu_ns >= 60 * SECOND / VMT_CPU_BUDGET_PART / 5);
		assert_true(storm.period > VMT_TOUCH_PACE_FIRST_PERIOD);
	}
}

static void
after_a_storm_the_period_falls_again(void **state)
{
	struct storm storm = begin();

	(void)state;
	run(&storm, 16000000, 20 * SECOND);
	assert_true(storm.period > 1000);
	run(&storm, 0, 200 * SECOND);
	assert_int_equal(storm.period, VMT_TOUCH_PACE_FIRST_PERIOD);
}

/* Not to and fro: a storm that lasts sees few changes. */
static void
a_period_stays_for_a_while(void **state)
{
	struct storm storm = begin();

	(void)state;
	run(&storm, 4000000, 600 * SECOND);
	assert_true(storm.changes <= 130);
}

static void
times_of_two_clocks_lie_on_one_line(void **state)
{
	const struct vmt_touch_clock clock = {.older = {5000000000, 1000000000},
					      .newer = {5003000000, 1001000000}};

	(void)state;
	assert_true(vmt_touch_clock_ticks(&clock, VMT_CLOCK_TSC, 1000000000) == 5000000000);
	assert_true(vmt_touch_clock_ticks(&clock, VMT_CLOCK_TSC, 1000500000) == 5001500000);
	assert_true(vmt_touch_clock_ticks(&clock, VMT_CLOCK_TSC, 1001000000) == 5003000000);
	assert_true(vmt_touch_clock_ticks(&clock, VMT_CLOCK_TSC, 1002000000) == 5006000000);
	assert_true(vmt_touch_clock_ticks(&clock, VMT_CLOCK_TSC, 999000000) == 4997000000);
	assert_true(vmt_touch_clock_ticks(&clock, VMT_CLOCK_MONOTONIC, 999000000) == 999000000);
}

/* What was read between two readings of the counter is put between them, but for a microsecond or
 * two. Where this test was interrupted meanwhile, it may be further off. */
static void
times_are_those_of_the_counter(void **state)
{
	struct vmt_touch_clock clock = {0};
	unsigned near = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t before, after, time_ns, ticks;

		vmt_touch_clock_read(&clock);
		before = vmt_ticks_counter();
		time_ns = vmt_ticks_monotonic_ns();
		after = vmt_ticks_counter();
		vmt_touch_clock_read(&clock);
		ticks = vmt_touch_clock_ticks(&clock, VMT_CLOCK_TSC, time_ns);
		near += ticks + 5000 >= before && ticks <= after + 5000;
	}
	assert_true(near >= 900);
}

/* Each is a prime, or the period itself: a loop that keeps step with one does not with the next. */
static void
test_no_loop_keeps_step(void **state)
{
	static const uint64_t from_61[] = {67, 59, 71, 53, 67};

	(void)state;
	for (uint64_t period = 2; period <= 4096; period++)
		for (uint32_t slips = 1; slips <= 4; slips++) {
			uint64_t slipped = vmt_touch_pace_slip(period, slips);

			assert_true(slipped >= 2);
			assert_true(slips % 2 ? slipped > period : slipped < period || period <= 3);
			for (uint64_t i = 2; i < slipped && slipped != period; i++)
				assert_true(slipped % i != 0);
			assert_true(slipped < 2 * period + 2 && slipped > period / 2 - 1);
		}
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(vmt_touch_pace_slip(61, i + 1), from_61[i]);
	assert_int_equal(vmt_touch_pace_slip(1, 0), 1);
	assert_int_equal(vmt_touch_pace_slip(1, 5), 1);
	assert_int_equal(vmt_touch_pace_slip(61, 0), 61);
	assert_int_equal(vmt_touch_pace_slip(1000000000, 1), 1000000007);
}

/* Slips come soon, and in the long run each is an eighth of all samples. */
static void
test_slips_become_rare(void **state)
{
	uint64_t since = 0;
	unsigned slips = 0;

	(void)state;
	for (uint64_t samples = 1; samples <= 100000; samples++) {
		since++;
		if (!vmt_touch_pace_may_slip(samples, since, 2))
			continue;
		assert_true(since >= 16 && since <= 33 + samples / 8);
		assert_true(slips > 0 || samples <= 40);
		since = 0;
		slips++;
	}
	assert_in_range(slips, 40, 100);
	assert_false(vmt_touch_pace_may_slip(100000, 1000, 1000)); /* dear */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_loop_keeps_step),
	    cmocka_unit_test(test_slips_become_rare),
	    cmocka_unit_test(a_quiet_process_keeps_the_first_period),
	    cmocka_unit_test(a_storm_stays_within_the_budget),
	    cmocka_unit_test(after_a_storm_the_period_falls_again),
	    cmocka_unit_test(a_period_stays_for_a_while),
	    cmocka_unit_test(times_of_two_clocks_lie_on_one_line),
	    cmocka_unit_test(times_are_those_of_the_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
