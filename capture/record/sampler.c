#include "capture/record/sampler.h"

#include "base/assert.h"
#include "capture/core/clock.h"
#include "capture/core/config.h"

#define LN2_SHIFTED_32 UINT64_C(2977044472) /* ln 2 * 2^32 */
#define MAX_MEAN (UINT64_C(1) << 47)

/* -log2(value / 2^64) with 32 fractional bits; value > 0. The fraction's bits come one by one out
 * of repeated squaring: squaring a number in [1, 2) doubles its logarithm. */
static uint64_t
minus_log2(uint64_t value)
{
	unsigned zeros = (unsigned)__builtin_clzll(value);
	uint64_t mantissa = value << zeros; /* 1.63 fixed point */
	uint64_t fraction = 0;

	vmt_assert(value != 0);
	for (int bit = 0; bit < 32; bit++) {
		unsigned __int128 square = (unsigned __int128)mantissa * mantissa; /* 2.126 */
		bool carry = square >> 127 != 0;

		mantissa = (uint64_t)(square >> (carry ? 64 : 63));
		fraction = fraction << 1 | carry;
	}
	vmt_assert(mantissa >> 63 == 1 && fraction >> 32 == 0);
	return ((uint64_t)(zeros + 1) << 32) - fraction;
}

int64_t
vmt_sampler_distance(uint64_t mean, uint64_t uniform)
{
	uint64_t bounded = mean < MAX_MEAN ? mean : MAX_MEAN;
	unsigned __int128 product = (unsigned __int128)bounded * minus_log2(uniform | 1);

	return (int64_t)((product * LN2_SHIFTED_32) >> 64) + 1;
}

/* xorshift64* (Vigna 2016): period 2^64 - 1, the state is never 0. */
static uint64_t
next_random(uint64_t *state)
{
	vmt_assert(*state != 0);
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Threads that have asked, this process's forebears included. */
static uint64_t seeded;

/* With VMTRACE_SEED the threads have numbers, in the order of their first blocks. */
static uint64_t
seed_of(const struct vmt_thread *thread)
{
	uint64_t seed = vmt_recording.random_id ^ vmt_clock_before() ^
			(uint64_t)(uintptr_t)thread * UINT64_C(0x9e3779b97f4a7c15);

	if (vmt_config.has_seed)
		seed = vmt_config.seed +
		       (vmt_atomic_add_relaxed(&seeded, 1) + 1) * UINT64_C(0x9e3779b97f4a7c15);
	seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	seed = (seed ^ seed >> 27) * UINT64_C(0x94d049bb133111eb);
	return (seed ^ seed >> 31) | 1;
}

/* A thread's first block finds no distance drawn yet; so does, once, a fork child, which must not
 * go on with its parent's numbers. */
bool
vmt_sampler_take_slow(struct vmt_thread *thread, uint64_t size)
{
	uint64_t mean = vmt_config.malloc_sample_bytes;

	if (thread->sampler_ready != vmt_guard_owner->generation) {
		thread->random = seed_of(thread);
		if (thread->sampler_ready == 0)
			thread->sample_left =
			    vmt_sampler_distance(mean, next_random(&thread->random)) -
			    (int64_t)size;
		thread->sampler_ready = vmt_guard_owner->generation;
		if (thread->sample_left > 0)
			return false;
	}
	thread->sample_left = vmt_sampler_distance(mean, next_random(&thread->random));
	vmt_assert(thread->sample_left > 0);
	return true;
}
