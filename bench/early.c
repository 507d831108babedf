/*
 * early.c: by how much does a time stamp run ahead of the load before it?
 *
 * Usage: early PASSES. One thread reads the counter, then stores. Another loads what was stored,
 * and reads the counter without a wait (rdtsc), with one (rdtscp), and without one behind a locked
 * instruction. A reading that is less than the first one ran ahead of its load. Last, one thread
 * reads the counter twice in a row, a load that misses the caches before each. Needs two CPUs.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#if !defined(__x86_64__)
#error "the time stamp counter is x86-64's"
#endif

#define FAR_WORDS ((size_t)8 << 20) /* 64 MiB: beyond the caches */

enum reading { PLAIN, WAITING, LOCKED, READINGS };

static const char *const names[READINGS] = {"rdtsc", "rdtscp", "rdtsc behind a locked instruction"};

static struct {
	_Alignas(128) uint64_t pass;
	uint64_t stamp;
	_Alignas(128) uint64_t seen;
} shared;

static uint64_t passes;

static inline uint64_t
counter(enum reading reading)
{
	uint32_t low;
	uint32_t high;

	if (reading == WAITING)
		__asm__ volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx", "memory");
	else
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static void
stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		exit(1);
}

static void *
store(void *unused)
{
	stay_on(0);
	for (uint64_t pass = 1; pass <= passes; pass++) {
		while (__atomic_load_n(&shared.seen, __ATOMIC_ACQUIRE) != pass - 1)
			;
		shared.stamp = counter(PLAIN);
		__atomic_store_n(&shared.pass, pass, __ATOMIC_RELEASE);
	}
	return unused;
}

/* By how much the reading is before what it follows; 0: it is not. */
static uint64_t
load(enum reading reading, uint64_t pass)
{
	uint64_t found;
	uint64_t stamp;

	do {
		found = reading == LOCKED ? __atomic_fetch_add(&shared.pass, 0, __ATOMIC_SEQ_CST)
					  : __atomic_load_n(&shared.pass, __ATOMIC_ACQUIRE);
		stamp = counter(reading);
	} while (found != pass);
	return stamp < shared.stamp ? shared.stamp - stamp : 0;
}

static void
between_threads(enum reading reading)
{
	uint64_t early = 0;
	uint64_t most = 0;
	pthread_t writer;

	shared.pass = shared.seen = 0;
	if (pthread_create(&writer, NULL, store, NULL) != 0)
		exit(1);
	for (uint64_t pass = 1; pass <= passes; pass++) {
		uint64_t ahead = load(reading, pass);

		early += ahead != 0;
		most = ahead > most ? ahead : most;
		__atomic_store_n(&shared.seen, pass, __ATOMIC_RELEASE);
	}
	pthread_join(writer, NULL);
	printf("%s: %llu of %llu early, by %llu ticks at most\n", names[reading],
	       (unsigned long long)early, (unsigned long long)passes, (unsigned long long)most);
}

static void
in_one_thread(void)
{
	uint64_t *far = malloc(FAR_WORDS * sizeof(*far));
	uint64_t place = 1;
	uint64_t early = 0;

	if (!far)
		exit(1);
	for (size_t i = 0; i < FAR_WORDS; i++)
		far[i] = i;
	for (uint64_t pass = 0; pass < passes; pass++) {
		uint64_t first;

		place = place * 6364136223846793005u + 1442695040888963407u;
		place += far[(place >> 32) % FAR_WORDS];
		first = counter(PLAIN);
		place += far[(place >> 33) % FAR_WORDS];
		early += counter(PLAIN) < first;
	}
	printf("rdtsc behind rdtsc: %llu of %llu early\n", (unsigned long long)early,
	       (unsigned long long)passes);
	free(far);
}

int
main(int argc, char **argv)
{
	passes = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	stay_on(1);
	for (enum reading reading = PLAIN; reading < READINGS; reading++)
		between_threads(reading);
	in_one_thread();
	return 0;
}
