/*
 * trace_clock.h: reads the clock that a trace's head names (enum vmt_clock)
 *
 * Thread and signal safe.
 */
#ifndef VMT_TRACE_CLOCK_H
#define VMT_TRACE_CLOCK_H

#include "base/ticks.h"
#include "format/head.h"

#include <stdbool.h>

#define VMT_TRACE_CLOCK_AT_ONCE_NS UINT64_C(1000000)

static inline uint64_t
vmt_trace_clock_now(uint32_t clock)
{
	return clock == VMT_CLOCK_TSC ? vmt_ticks_counter() : vmt_ticks_monotonic_ns();
}

/* Both clocks. False: it took so long between the readings that they may lie apart. */
static inline bool
vmt_trace_clock_pair(uint32_t clock, struct vmt_clock_pair *pair)
{
	uint64_t after_ns;

	pair->monotonic_ns = vmt_ticks_monotonic_ns();
	pair->ticks = vmt_trace_clock_now(clock);
	after_ns = vmt_ticks_monotonic_ns();
	return after_ns - pair->monotonic_ns <= VMT_TRACE_CLOCK_AT_ONCE_NS;
}

#endif
