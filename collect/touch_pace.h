/*
 * touch_pace.h: one fault in how many is sampled, within the collector's CPU budget?
 *
 * The collector's time for samples draws on a credit that fills up by a hundredth of the time
 * (cpu_budget.h). When it is overdrawn the period goes to the next prime of a list, which about
 * halves the samples, and once more for each further millisecond; when it has been full for as long
 * as the last change is old at least, back to the one before. What comes in while it is overdrawn
 * by VMT_TOUCH_PACE_DEBT_NS is not worth looking at: it is counted.
 *
 * A loop of as many faults as the period, or of a part of them, would have its samples always at
 * the same place. So the period slips by a little now and then, whether it is given or not: after
 * few samples, or an eighth of all that there were, so that none has more than about a quarter.
 * Pure.
 */
#ifndef VMT_TOUCH_PACE_H
#define VMT_TOUCH_PACE_H

#include "collect/cpu_budget.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_TOUCH_PACE_DEBT_NS INT64_C(20000000)
#define VMT_TOUCH_PACE_STEP_NS INT64_C(1000000)
#define VMT_TOUCH_PACE_CALM_NS UINT64_C(10000000000)
#define VMT_TOUCH_PACE_FIRST_PERIOD 61u
#define VMT_TOUCH_PACE_SLIP_SAMPLES 16u
#define VMT_TOUCH_PACE_SLIP_EVENT 8u /* samples more for each event that is open */
#define VMT_TOUCH_PACE_SLIP_PART 8u

struct vmt_touch_pace {
	struct vmt_cpu_budget credit;
	int64_t settled_ns; /* what was left at the last change, if that was below 0 */
	uint64_t changed_ns;
	uint32_t step; /* in the list of periods */
};

void vmt_touch_pace_begin(struct vmt_touch_pace *pace, uint64_t now_ns);

/* So much CPU time has gone; part: of a CPU that the collector may use (cpu_budget.h). */
void vmt_touch_pace_spend(struct vmt_touch_pace *pace, uint64_t now_ns, uint32_t part,
			  uint64_t cost_ns);

/* The period from now on. */
uint64_t vmt_touch_pace_period(struct vmt_touch_pace *pace, uint64_t now_ns);

/* The period after so many slips: a prime near it; 1 stays 1. At most 1e9. */
uint64_t vmt_touch_pace_slip(uint64_t period, uint32_t slips);

/* Whether to slip, after so many samples in all and since the last slip: that closes and opens all
 * events, and loses what each has counted up to its next sample. */
static inline bool
vmt_touch_pace_may_slip(uint64_t samples, uint64_t samples_since, uint64_t events)
{
	uint64_t least = VMT_TOUCH_PACE_SLIP_SAMPLES + VMT_TOUCH_PACE_SLIP_EVENT * events;

	return samples_since >= least && samples_since >= samples / VMT_TOUCH_PACE_SLIP_PART;
}

static inline bool
vmt_touch_pace_is_over(const struct vmt_touch_pace *pace)
{
	return pace->credit.left_ns < -VMT_TOUCH_PACE_DEBT_NS;
}

#endif
