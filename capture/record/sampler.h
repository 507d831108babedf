/*
 * sampler.h: decides whether a block is recorded
 *
 * Points are thrown on the stream of bytes that a thread allocates, as a Poisson process with one
 * point per malloc_sample_bytes (T) on average. A block of size s < T is recorded when a point
 * falls into it: probability 1 - exp(-s / T), so its weight is 1 / (1 - exp(-s / T)). The process
 * has no memory: after a hit the distance to the next point is drawn anew from the block's end. A
 * block of T bytes or more is always recorded, weight 1, and takes no part in the stream.
 *
 * Distances are whole bytes, the exponential rounded up; as sizes are whole too, no probability
 * changes by that. The logarithm is computed in integers (a program's floating-point state is its
 * own) to 2^-31; the mean distance is low by less than 1e-9 of itself.
 *
 * Numbers differ from run to run, unless VMTRACE_SEED gives each thread's generator its seed.
 *
 * Thread safe (all state is the thread's); a signal handler that interrupts it costs at most one
 * wrong decision.
 */
#ifndef VMT_SAMPLER_H
#define VMT_SAMPLER_H

#include "capture/core/config.h"
#include "capture/core/guard.h"

#include <stdbool.h>
#include <stdint.h>

bool vmt_sampler_take_slow(struct vmt_thread *thread, uint64_t size);

/* In sampled mode: whether to record a block of this size. */
static inline bool
vmt_sampler_take(struct vmt_thread *thread, uint64_t size)
{
	if (size >= vmt_config.malloc_sample_bytes)
		return true;
	thread->sample_left -= (int64_t)size;
	if (__builtin_expect(thread->sample_left > 0, 1))
		return false;
	return vmt_sampler_take_slow(thread, size);
}

/* Exponential distance of this mean, at least 1, from 64 uniform random bits. mean <= 2^47. */
int64_t vmt_sampler_distance(uint64_t mean, uint64_t uniform);

#endif
