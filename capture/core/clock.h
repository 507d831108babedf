/*
 * clock.h: reads the time in the trace's ticks
 *
 * The time stamp counter where the kernel's own clock source is "tsc" (then it is synchronous over
 * all CPUs and never stops), else CLOCK_MONOTONIC in nanoseconds by raw system call. Where no call
 * may be made any more, that clock stands still but for one tick a reading: order is kept, time is
 * not.
 *
 * Order (Intel SDM vol. 2, RDTSC and RDTSCP): rdtsc may run ahead of the instructions before it,
 * but retires before any store after it becomes visible: right for a release. rdtscp waits until
 * all earlier loads have their values and all earlier instructions are done: right for an
 * acquisition. For one of a block the wait, 15 ns, is too dear: readers put such events in order by
 * their address. Both keep the compiler from moving memory accesses across.
 */
#ifndef VMT_CLOCK_H
#define VMT_CLOCK_H

#include "capture/core/guard.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether the trace uses the time stamp counter. Set-up. */
extern bool vmt_clock_is_tsc;

/* CLOCK_MONOTONIC, or what goes on from vmt_clock_stop. */
uint64_t vmt_clock_slow(void);

/* No more system calls from here on: remembers the time, with room for a reading that another
 * thread is at. */
void vmt_clock_stop(void);

/* For a release: not after anything that follows in program order. */
static inline uint64_t
vmt_clock_before(void)
{
#if defined(__x86_64__)
	if (__builtin_expect(vmt_clock_is_tsc, 1)) {
		uint32_t low;
		uint32_t high;

		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
		return (uint64_t)high << 32 | low;
	}
#endif
	return vmt_clock_slow();
}

/* For an acquisition of a block: as vmt_clock_before, perhaps before the loads that precede it, by
 * less than VMT_REPLAY_HEAP_HELD_NS of the readers (docs/ring.md). It waits for nothing. */
static inline uint64_t
vmt_clock_early(void)
{
	return vmt_clock_before();
}

/* For any other acquisition: not before anything that precedes in program order. */
static inline uint64_t
vmt_clock_after(void)
{
#if defined(__x86_64__)
	if (__builtin_expect(vmt_clock_is_tsc, 1)) {
		uint32_t low;
		uint32_t high;

		__asm__ volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx", "memory");
		return (uint64_t)high << 32 | low;
	}
#endif
	return vmt_clock_slow();
}

#endif
