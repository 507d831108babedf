/* Do the two clocks keep step? What a suspend or an unsteady counter does to pairs of readings. */
#include "collect/clock_drift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND (1000 * MILLISECOND)
#define TICKS_A_SECOND UINT64_C(2445424000)

static struct vmt_clock_drift step;
static struct vmt_clock_pair now;

/* So much later by the system's clock, and by the counter. */
static bool
later(uint64_t ns, uint64_t counted_ns)
{
	now.monotonic_ns += ns;
	now.ticks += counted_ns / 1000 * TICKS_A_SECOND / 1000000;
	return vmt_clock_drift_keeps(&step, &now);
}

static int
begin(void **state)
{
	(void)state;
	step = (struct vmt_clock_drift){0};
	now = (struct vmt_clock_pair){UINT64_C(1) << 50, 3600 * SECOND};
	return !vmt_clock_drift_keeps(&step, &now) || !later(2 * SECOND, 2 * SECOND);
}

/* Thirty days of pairs, some of them hours apart, each read up to a millisecond late. */
static void
test_steady(void **state)
{
	const uint64_t pauses[] = {20 * MILLISECOND, SECOND, 60 * SECOND, 7200 * SECOND};

	(void)state;
	for (int i = 0; i < 1400; i++) {
		uint64_t pause_ns = pauses[i % 4];

		assert_true(later(pause_ns, i % 2 ? pause_ns + MILLISECOND : pause_ns));
		assert_true(later(SECOND, i % 2 ? SECOND - MILLISECOND : SECOND));
	}
}

/* The system's clock is slewed by at most 500 parts in a million (adjtimex(2)). */
static void
test_slewed(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(later(SECOND * 100, SECOND * 100 + SECOND / 20));
}

static void
test_counter_goes_on_through_a_suspend(void **state)
{
	(void)state;
	assert_false(later(50 * MILLISECOND, 5 * SECOND));
	assert_true(later(50 * MILLISECOND, 50 * MILLISECOND));
}

static void
test_counter_begins_anew(void **state)
{
	(void)state;
	now.ticks = 0;
	assert_false(later(50 * MILLISECOND, SECOND));
	assert_true(later(50 * MILLISECOND, 50 * MILLISECOND));
}

static void
test_counter_slows_down_or_stops(void **state)
{
	(void)state;
	assert_false(later(SECOND, SECOND - SECOND / 20));
	assert_true(later(2 * SECOND, 2 * SECOND));
	assert_false(later(SECOND, 0));
}

/* Until the rate is known only a counter that goes back is out of step. */
static void
test_before_the_rate_is_known(void **state)
{
	(void)state;
	step = (struct vmt_clock_drift){0};
	assert_true(vmt_clock_drift_keeps(&step, &now));
	assert_true(later(10 * MILLISECOND, 10 * SECOND));
	now.ticks--;
	assert_false(later(10 * MILLISECOND, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_steady, begin),
	    cmocka_unit_test_setup(test_slewed, begin),
	    cmocka_unit_test_setup(test_counter_goes_on_through_a_suspend, begin),
	    cmocka_unit_test_setup(test_counter_begins_anew, begin),
	    cmocka_unit_test_setup(test_counter_slows_down_or_stops, begin),
	    cmocka_unit_test_setup(test_before_the_rate_is_known, begin),
	};

	return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
