/*
 * stop.c: for how long does a process stand when it is attached to?
 *
 * Usage: stop THREADS. One thread does nothing but look at the clock (CLOCK_MONOTONIC) and notes
 * the largest step of it; half of the others map, write, check and unmap memory with short waits
 * between, the rest wait for a futex. At each line of its input it prints the largest step since
 * the last one, in microseconds. On a busy machine that is also the time for which others had its
 * processor: compare with steps during which nobody attached. At the end of its input it exits with
 * 0, or 1 where memory was not as it was written.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RANGE_BYTES ((size_t)64 << 10)
#define WAIT_US 2000

static atomic_uint_fast64_t largest_ns;
static atomic_bool is_wrong;
static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *
look_at_clock(void *unused)
{
	uint64_t before = now_ns();

	for (;;) {
		uint64_t now = now_ns();

		if (now - before > atomic_load(&largest_ns))
			atomic_store(&largest_ns, now - before);
		before = now;
	}
	return unused;
}

static void *
use_memory(void *unused)
{
	for (uint64_t round = 1;; round++) {
		uint64_t *words = mmap(NULL, RANGE_BYTES, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (words == MAP_FAILED)
			break;
		for (size_t i = 0; i < RANGE_BYTES / sizeof(*words); i++)
			words[i] = round + i;
		usleep(WAIT_US);
		for (size_t i = 0; i < RANGE_BYTES / sizeof(*words); i++)
			if (words[i] != round + i)
				atomic_store(&is_wrong, true);
		if (munmap(words, RANGE_BYTES) != 0)
			break;
	}
	atomic_store(&is_wrong, true);
	return unused;
}

static void *
wait_for_ever(void *unused)
{
	pthread_mutex_lock(&never);
	return unused;
}

static void
start(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL) != 0)
		exit(2);
}

int
main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 20;
	char line[16];

	pthread_mutex_lock(&never);
	start(look_at_clock);
	for (int i = 2; i < threads; i++)
		start(i % 2 == 0 ? use_memory : wait_for_ever);
	while (fgets(line, sizeof(line), stdin)) {
		printf("%llu\n", (unsigned long long)(atomic_exchange(&largest_ns, 0) / 1000));
		fflush(stdout);
	}
	_exit(atomic_load(&is_wrong));
}
