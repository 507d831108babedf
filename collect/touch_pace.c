#include "collect/touch_pace.h"

/* Primes: few loops keep step with them. */
static const uint32_t periods[] = {
    VMT_TOUCH_PACE_FIRST_PERIOD, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521};

#define LAST_STEP (sizeof(periods) / sizeof(periods[0]) - 1)

void
vmt_touch_pace_begin(struct vmt_touch_pace *pace, uint64_t now_ns)
{
	*pace = (struct vmt_touch_pace){.changed_ns = now_ns};
	vmt_cpu_budget_begin(&pace->credit, now_ns);
}

void
vmt_touch_pace_spend(struct vmt_touch_pace *pace, uint64_t now_ns, uint32_t part, uint64_t cost_ns)
{
	vmt_cpu_budget_set_part(&pace->credit, now_ns, part);
	vmt_cpu_budget_spend(&pace->credit, cost_ns);
}

static bool
is_prime(uint64_t number)
{
	for (uint64_t i = 2; i * i <= number; i++)
		if (number % i == 0)
			return false;
	return number >= 2;
}

/* From 61: 67, 59, 71, 53. Where there is no prime below, the number itself. */
uint64_t
vmt_touch_pace_slip(uint64_t period, uint32_t slips)
{
	unsigned kind = (slips - 1) % 4;
	unsigned left = kind / 2 + 1;
	uint64_t slipped = period;

	if (period < 2 || slips == 0)
		return period;
	while (left > 0) {
		slipped = kind % 2 ? slipped - 1 : slipped + 1;
		if (slipped < 2)
			return period;
		left -= is_prime(slipped);
	}
	return slipped;
}

static bool
is_full(const struct vmt_touch_pace *pace)
{
	return pace->credit.left_ns >=
	       vmt_cpu_budget_scaled(&pace->credit, (uint64_t)VMT_CPU_BUDGET_MAX_NS);
}

uint64_t
vmt_touch_pace_period(struct vmt_touch_pace *pace, uint64_t now_ns)
{
	int64_t left_ns;

	(void)vmt_cpu_budget_is_there(&pace->credit, now_ns);
	left_ns = pace->credit.left_ns;
	if (left_ns > 0)
		pace->settled_ns = 0;
	if (left_ns < pace->settled_ns - VMT_TOUCH_PACE_STEP_NS && pace->step < LAST_STEP) {
		pace->settled_ns = left_ns;
		pace->changed_ns = now_ns;
		pace->step++;
	} else if (pace->step > 0 && is_full(pace) &&
		   now_ns - pace->changed_ns >= VMT_TOUCH_PACE_CALM_NS) {
		pace->changed_ns = now_ns;
		pace->step--;
	}
	return periods[pace->step];
}
