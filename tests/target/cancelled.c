/* Threads that are cancelled wherever they are: deferred ones while they allocate, asynchronous
 * ones in the middle of calls that map; then a known number of mappings. */
#include "tests/target/truth.h"

#include <pthread.h>

#define THREADS 200
#define RANGES 100

static int cleaned;

static void
clean(void *unused)
{
	(void)unused;
	free(malloc(100));
	__atomic_fetch_add(&cleaned, 1, __ATOMIC_RELAXED);
}

static void *
allocate(void *started)
{
	pthread_cleanup_push(clean, NULL);
	__atomic_store_n((int *)started, 1, __ATOMIC_RELEASE);
	for (;;) {
		free(malloc(3000));
		pthread_testcancel();
	}
	pthread_cleanup_pop(0);
	return NULL;
}

/* What it maps is unmapped by the same address again, whichever call the cancellation strikes. */
static void *
advise(void *started)
{
	static char range[4 * PAGE] __attribute__((aligned(4096)));

	pthread_cleanup_push(clean, NULL);
	__atomic_store_n((int *)started, 1, __ATOMIC_RELEASE);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (;;) {
		madvise(range, sizeof(range), MADV_DONTNEED);
		mprotect(range, sizeof(range), PROT_READ | PROT_WRITE);
	}
	pthread_cleanup_pop(0);
	return NULL;
}

static NOINLINE void
map_after(void)
{
	char *range = truth_mapped(
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	range[0] = 1;
}

int
main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : THREADS;

	for (int i = 0; i < threads; i++) {
		int started = 0;
		pthread_t thread;
		void *result;

		if (pthread_create(&thread, NULL, i % 2 ? advise : allocate, &started) != 0)
			truth_die("pthread_create");
		while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
			sched_yield();
		for (volatile int spin = (i % 50) * 100; spin > 0; spin--)
			;
		if (pthread_cancel(thread) != 0 || pthread_join(thread, &result) != 0 ||
		    result != PTHREAD_CANCELED)
			truth_die("cancellation");
	}
	if (cleaned != threads)
		truth_die("clean-up handlers");
	for (int i = 0; i < RANGES; i++)
		map_after();
	truth_site(&(struct truth_site){.kind = "mmap",
					.function = "map_after",
					.count = RANGES,
					.live_count = RANGES,
					.reserved_bytes = RANGES * 2 * PAGE,
					.accessible_bytes = RANGES * 2 * PAGE,
					.committed_bytes = RANGES * PAGE,
					.total_reserved_bytes = RANGES * 2 * PAGE});
	return truth_end("cancelled");
}
