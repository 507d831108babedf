/*
 * ticks.h: reads the system's monotonic clock and the processor's counter
 *
 * On x86 the TSC is read behind an lfence, so that what was read before it was read earlier. Thread
 * and signal safe.
 */
#ifndef VMT_TICKS_H
#define VMT_TICKS_H

#include "base/sys.h"

#include <stdint.h>

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
	__asm__ volatile("lfence" ::: "memory");
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t count;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count)::"memory");
	return count;
#endif
}

#endif
