/*
 * clock_drift.h: whether the counter keeps step with the clock of the system
 *
 * The time stamp counter may go on or begin anew while the machine is suspended, during which
 * CLOCK_MONOTONIC stands still, and a counter may turn out not to be steady at all. Then a trace's
 * times are wrong, and where it went back the order of its events is.
 *
 * Pairs of readings go in, in the order in which they were taken. A second after the first pair the
 * counter's rate is known well enough; from then on a pair that lies off it by 10 ms and a 64th of
 * the time since the last one is out of step. One that went back is, always. Of no thread; pure.
 */
#ifndef VMT_CLOCK_DRIFT_H
#define VMT_CLOCK_DRIFT_H

#include "format/head.h"

#include <stdbool.h>

#define VMT_CLOCK_DRIFT_BASE_NS UINT64_C(1000000000)
#define VMT_CLOCK_DRIFT_SLACK_NS UINT64_C(10000000)
#define VMT_CLOCK_DRIFT_SLACK_SHIFT 6

/* Begins as zeros. */
struct vmt_clock_drift {
	struct vmt_clock_pair first;
	struct vmt_clock_pair last;
};

/* How many nanoseconds so many ticks should have taken, by the rate so far. */
static inline uint64_t
vmt_clock_drift_expect_ns(const struct vmt_clock_drift *step, uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks *
			  (step->last.monotonic_ns - step->first.monotonic_ns) /
			  (step->last.ticks - step->first.ticks));
}

static inline bool
vmt_clock_drift_fits(const struct vmt_clock_drift *step, const struct vmt_clock_pair *now)
{
	uint64_t passed_ns = now->monotonic_ns - step->last.monotonic_ns;
	uint64_t expected_ns;
	uint64_t off_ns;

	if (now->ticks < step->last.ticks)
		return false;
	if (step->last.monotonic_ns - step->first.monotonic_ns < VMT_CLOCK_DRIFT_BASE_NS ||
	    step->last.ticks == step->first.ticks)
		return true;
	expected_ns = vmt_clock_drift_expect_ns(step, now->ticks - step->last.ticks);
	off_ns = expected_ns > passed_ns ? expected_ns - passed_ns : passed_ns - expected_ns;
	return off_ns <= VMT_CLOCK_DRIFT_SLACK_NS + (passed_ns >> VMT_CLOCK_DRIFT_SLACK_SHIFT);
}

/* Takes a pair; false: it is out of step with the earlier ones, and they are forgotten. */
static inline bool
vmt_clock_drift_keeps(struct vmt_clock_drift *step, const struct vmt_clock_pair *now)
{
	bool fits = step->first.monotonic_ns == 0 || vmt_clock_drift_fits(step, now);

	if (!fits || step->first.monotonic_ns == 0)
		step->first = *now;
	step->last = *now;
	return fits;
}

#endif
