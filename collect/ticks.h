/*
 * ticks.h: what time is it on the clock that a trace uses?
 *
 * Readings for the collector, on the clock named by the head (enum vmt_clock). On x86 the TSC is
 * read behind an lfence, so that what was read before it was read earlier. Thread and signal safe.
 */
#ifndef VMT_TICKS_H
#define VMT_TICKS_H

#include "collect/sys.h"
#include "format/head.h"

#include <stdbool.h>

#define VMT_TICKS_AT_ONCE_NS UINT64_C(1000000)

static inline uint64_t
vmt_ticks_monotonic_ns(void)
{
	return vmt_sys_clock_ns(CLOCK_MONOTONIC);
}

/* The TSC, or the nearest that the machine has to one. */
static inline uint64_t
vmt_ticks_counter(void)
{
#if defined(__x86_64__)
	__builtin_ia32_lfence();
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t count;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count)::"memory");
	return count;
#endif
}

static inline uint64_t
vmt_ticks_now(uint32_t clock)
{
	return clock == VMT_CLOCK_TSC ? vmt_ticks_counter() : vmt_ticks_monotonic_ns();
}

/* Both clocks. False: it took so long between the readings that they may lie apart. */
static inline bool
vmt_ticks_pair(uint32_t clock, struct vmt_clock_pair *pair)
{
	uint64_t after_ns;

	pair->monotonic_ns = vmt_ticks_monotonic_ns();
	pair->ticks = vmt_ticks_now(clock);
	after_ns = vmt_ticks_monotonic_ns();
	return after_ns - pair->monotonic_ns <= VMT_TICKS_AT_ONCE_NS;
}

#endif
