/*
 * cpu.h: the CPU on which the calling thread runs, as far as it knows
 *
 * The C library registers a restartable-sequences area with each thread (glibc 2.35, __rseq_offset
 * from the thread pointer), in which the kernel keeps the CPU's number at byte 4 (rseq_abi.h): one
 * load. Where there is none, it is asked for. The number may be old, or
 * -1: it only serves to spread threads over shards. Async-signal-safe.
 */
#ifndef VMT_CPU_H
#define VMT_CPU_H

#include "capture/core/guard.h"

#include <stdint.h>

/* Of the C library's area, from the thread pointer; 0 = none. Set-up. */
extern int64_t vmt_cpu_rseq_offset;

/* Asks the kernel, or how the host of this code knows it faster. Keeps errno. */
extern uint32_t (*vmt_cpu_ask)(void);

static inline uint32_t
vmt_cpu_number(void)
{
#if defined(__x86_64__) && !defined(VMT_THREAD_ON_STACK)
	if (__builtin_expect(vmt_cpu_rseq_offset != 0, 1)) {
		uint32_t number;

		__asm__ volatile("movl %%fs:4(%1), %0" : "=r"(number) : "r"(vmt_cpu_rseq_offset));
		return number;
	}
#endif
	return vmt_guard_syscalls_allowed() ? vmt_cpu_ask() : 0;
}

#endif
