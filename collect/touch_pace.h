/*
 * touch_pace.h: one fault in how many is sampled, within the collector's CPU budget?
 *
 * The collector's time for samples draws on a credit that fills up by a hundredth of the time
 * (cpu_budget.h). When it is overdrawn the period goes to the next prime of a list, which about
 * halves the samples, and once more for each further millisecond; when it has been full for as long
 * as the last change is old at least, back to the one before. What comes in while it is overdrawn
 * by VMT_TOUCH_PACE_DEBT_NS is not worth looking at: it is counted. Pure.
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

static inline bool
vmt_touch_pace_is_over(const struct vmt_touch_pace *pace)
{
	return pace->credit.left_ns < -VMT_TOUCH_PACE_DEBT_NS;
}

#endif
