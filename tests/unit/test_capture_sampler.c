#include "capture/record/sampler.h"

#include "capture/core/config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS 20
#define MEAN 65536u

static struct vmt_head head;
static struct vmt_owner owner;

static uint64_t
next_uniform(uint64_t *state)
{
	uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

static int
set_up(void **state)
{
	(void)state;
	head.random_id = 7;
	owner.generation = 1;
	vmt_guard_owner = &owner;
	vmt_recording.head = &head;
	vmt_config.malloc_sample_bytes = MEAN;
	return 0;
}

/* A thread whose first distance is drawn already, so that only the seed decides. */
static struct vmt_thread
seeded_thread(uint64_t seed)
{
	struct vmt_thread thread = {.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1,
				    .sampler_ready = 1};

	(void)vmt_sampler_take_slow(&thread, 0);
	return thread;
}

static void
distance_is_the_logarithm(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t uniform = next_uniform(&random) >> (i % 60) | 1;
		double exact = -log((double)uniform / 18446744073709551616.0) * 1e12;
		double found = (double)vmt_sampler_distance(UINT64_C(1000000000000), uniform);

		assert_true(fabs(found - exact) <= 2 + 1e12 * 5e-10 + exact * 1e-9);
	}
	assert_int_equal(vmt_sampler_distance(1000, UINT64_MAX), 1);
	assert_true(vmt_sampler_distance(UINT64_MAX, 1) > 0);
}

static void
distances_are_exponential(void **state)
{
	const int draws = 200000;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t random = seed;
		double sum = 0;
		double below = 0;

		for (int i = 0; i < draws; i++) {
			double distance = (double)vmt_sampler_distance(MEAN, next_uniform(&random));

			sum += distance;
			below += distance <= MEAN / 4.0;
		}
		/* the rounding up adds half a byte */
		assert_true(fabs(sum / draws - MEAN - 0.5) < 3 * MEAN / sqrt(draws));
		double p = 1 - exp(-0.25);

		assert_true(fabs(below / draws - p) < 3 * sqrt(p * (1 - p) / draws));
	}
}

enum { KINDS = 6, ROUNDS = 60000 };
static const uint64_t sizes[KINDS] = {16, 100, 1000, 4096, 20000, 65535};

static double
probability(uint64_t size)
{
	return 1 - exp(-(double)size / MEAN);
}

/* Draws blocks of mixed sizes, so that hits of one size leave their trace on the next; adds to
 * made and taken, and returns how many standard errors the estimate of all bytes is off. */
static double
run_seed(uint64_t seed, double *made, double *taken)
{
	struct vmt_thread thread = seeded_thread(seed);
	uint64_t order = seed;
	double error = 0;
	double variance = 0;

	for (int i = 0; i < ROUNDS * KINDS; i++) {
		size_t kind = next_uniform(&order) % KINDS;
		double p = probability(sizes[kind]);
		double size = (double)sizes[kind];
		bool hit = vmt_sampler_take(&thread, sizes[kind]);

		made[kind]++;
		taken[kind] += hit;
		error += (hit ? size / p : 0) - size;
		variance += size * size * (1 - p) / p;
	}
	return error / sqrt(variance);
}

static void
estimates_are_unbiased(void **state)
{
	double made[KINDS] = {0};
	double taken[KINDS] = {0};

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		assert_true(fabs(run_seed(seed, made, taken)) < 3);
	for (size_t kind = 0; kind < KINDS; kind++) {
		double p = probability(sizes[kind]);

		assert_true(fabs(taken[kind] / made[kind] - p) <
			    3 * sqrt(p * (1 - p) / made[kind]));
	}
}

static void
large_blocks_are_always_taken_and_cost_nothing(void **state)
{
	struct vmt_thread thread = seeded_thread(3);
	int64_t left = thread.sample_left;

	(void)state;
	for (uint64_t size = MEAN; size < 100 * (uint64_t)MEAN; size += MEAN)
		assert_true(vmt_sampler_take(&thread, size));
	assert_true(vmt_sampler_take(&thread, UINT64_MAX));
	assert_int_equal(thread.sample_left, left);
}

static void
empty_blocks_are_never_taken(void **state)
{
	struct vmt_thread thread = seeded_thread(5);

	(void)state;
	for (int i = 0; i < 100000; i++)
		assert_false(vmt_sampler_take(&thread, 0));
}

static void
a_fresh_thread_draws_before_it_decides(void **state)
{
	int taken = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct vmt_thread thread = {0};

		head.random_id = (uint64_t)i * 977 + 1;
		taken += vmt_sampler_take(&thread, 64);
		assert_int_equal(thread.sampler_ready, 1);
	}
	/* expected 19.5 of 20,000; a thread that took its first block would give 20,000 */
	assert_in_range(taken, 1, 60);
}

static void
a_fork_child_has_numbers_of_its_own(void **state)
{
	struct vmt_thread parent = seeded_thread(9);
	struct vmt_thread child = parent;
	int apart = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		owner.generation = 1;
		(void)vmt_sampler_take(&parent, MEAN / 2);
		owner.generation = 2;
		(void)vmt_sampler_take(&child, MEAN / 2);
		apart += parent.sample_left != child.sample_left;
	}
	owner.generation = 1;
	assert_true(apart > 100);
	assert_int_not_equal(parent.random, child.random);
}

/* What a thread of a run with VMTRACE_SEED decides; a run begins with a fresh count of threads,
 * which here goes on. */
static uint64_t
decisions(uint64_t seed)
{
	struct vmt_thread thread = {0};
	uint64_t taken = 0;

	vmt_config.has_seed = true;
	vmt_config.seed = seed;
	for (int i = 0; i < 64; i++)
		taken = taken << 1 | vmt_sampler_take(&thread, MEAN / 2);
	vmt_config.has_seed = false;
	return taken;
}

static void
a_seed_makes_it_repeatable(void **state)
{
	static uint64_t found[2][8];
	int status;

	(void)state;
	for (int run = 0; run < 2; run++) {
		int ends[2];
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		child = fork(); /* both begin with the same count */
		head.random_id = (uint64_t)run + 77;
		for (int i = 0; child == 0 && i < 8; i++)
			found[0][i] = decisions(i < 4 ? 5 : 6);
		if (child == 0)
			_exit(write(ends[1], found[0], sizeof(found[0])) != sizeof(found[0]));
		assert_int_equal(read(ends[0], found[run], sizeof(found[run])), sizeof(found[run]));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		close(ends[0]);
		close(ends[1]);
	}
	assert_memory_equal(found[0], found[1], sizeof(found[0]));
	/* Threads have numbers of their own, and so have seeds. */
	for (int i = 1; i < 8; i++)
		assert_true(found[0][i] != found[0][0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(distance_is_the_logarithm),
	    cmocka_unit_test(distances_are_exponential),
	    cmocka_unit_test(estimates_are_unbiased),
	    cmocka_unit_test(large_blocks_are_always_taken_and_cost_nothing),
	    cmocka_unit_test(empty_blocks_are_never_taken),
	    cmocka_unit_test(a_fresh_thread_draws_before_it_decides),
	    cmocka_unit_test(a_fork_child_has_numbers_of_its_own),
	    cmocka_unit_test(a_seed_makes_it_repeatable),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
