/*
 * pair.c: what does one pair of calls cost?
 *
 * Usage: pair WORKLOAD DEPTH THREADS PAIRS. Each thread recurses to DEPTH, then does PAIRS pairs.
 * Prints nanoseconds of the thread's own CPU time a pair: what other threads and the collector take
 * of too few CPUs does not count, waiting in a spin or in system calls does. Workloads:
 *   malloc   64-byte malloc and free          mmap     64 KiB mmap and munmap
 *   touch    the same, every page written     madvise  64 KiB touched, MADV_DONTNEED
 *   none     mmap and munmap of 64 KiB that were always PROT_NONE
 *   few      free and malloc of 1 byte, one of 4096 live blocks after the other
 *   live     the same beside a million blocks of 256 bytes, which sampled:256 records all
 *   resident one mapping of PAIRS MiB, touched, then waits for its input to end
 *
 * What the kernel itself takes for an untouched mmap/munmap pair depends on how many mappings the
 * process has: about one number in seven lets each pair split and join nodes of the kernel's tree
 * of them, which then takes up to 1.8 times as long. A preload changes the number. So mmap
 * and none go through LAYOUTS of them, one more mapping each time.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RANGE_BYTES ((size_t)64 << 10)
#define WINDOW 4096
#define LIVE_BLOCKS 1000000
#define LIVE_BYTES 256
#define LAYOUTS 32

struct job {
	const char *workload;
	long depth;
	long pairs;
	double nanoseconds;
	pthread_t thread;
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static char *
map_range(size_t bytes, int protection)
{
	char *range = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (range == MAP_FAILED)
		exit(1);
	return range;
}

static void
do_malloc(long pairs)
{
	for (long i = 0; i < pairs; i++) {
		void *volatile block = malloc(64);

		free(block);
	}
}

static void
make_live(void)
{
	for (long i = 0; i < LIVE_BLOCKS; i++) {
		void *volatile block = malloc(LIVE_BYTES);

		if (block == NULL)
			exit(1);
	}
}

static void
do_window(long pairs)
{
	static __thread void *volatile window[WINDOW];

	for (long i = 0; i < pairs; i++) {
		free(window[i % WINDOW]);
		window[i % WINDOW] = malloc(1);
	}
}

static void
touch(char *range, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 4096)
		((volatile char *)range)[at] = 1;
}

static void
do_mmap(long pairs, int protection, int touched)
{
	for (long i = 0; i < pairs; i++) {
		char *range = map_range(RANGE_BYTES, protection);

		if (touched)
			touch(range, RANGE_BYTES);
		munmap(range, RANGE_BYTES);
	}
}

/* One mapping more that none beside it can be joined to. */
static void
add_mapping(int layout)
{
	char *range = map_range(2 * RANGE_BYTES, PROT_READ | PROT_WRITE);

	if (mprotect(range, RANGE_BYTES, layout % 2 ? PROT_NONE : PROT_READ | PROT_EXEC) != 0 ||
	    mprotect(range + RANGE_BYTES, RANGE_BYTES, PROT_READ) != 0)
		exit(1);
}

static void
do_layouts(long pairs, int protection)
{
	for (int layout = 0; layout < LAYOUTS; layout++) {
		do_mmap(pairs / LAYOUTS, protection, 0);
		add_mapping(layout);
	}
}

static void
do_madvise(long pairs)
{
	char *range = map_range(RANGE_BYTES, PROT_READ | PROT_WRITE);

	for (long i = 0; i < pairs; i++) {
		touch(range, RANGE_BYTES);
		madvise(range, RANGE_BYTES, MADV_DONTNEED);
	}
	munmap(range, RANGE_BYTES);
}

static void
do_resident(long mebibytes)
{
	size_t bytes = (size_t)mebibytes << 20;

	touch(map_range(bytes, PROT_READ | PROT_WRITE), bytes);
}

static void
work(const struct job *job)
{
	if (strcmp(job->workload, "malloc") == 0)
		do_malloc(job->pairs);
	else if (strcmp(job->workload, "few") == 0 || strcmp(job->workload, "live") == 0)
		do_window(job->pairs);
	else if (strcmp(job->workload, "mmap") == 0)
		do_layouts(job->pairs, PROT_READ | PROT_WRITE);
	else if (strcmp(job->workload, "none") == 0)
		do_layouts(job->pairs, PROT_NONE);
	else if (strcmp(job->workload, "touch") == 0)
		do_mmap(job->pairs, PROT_READ | PROT_WRITE, 1);
	else if (strcmp(job->workload, "madvise") == 0)
		do_madvise(job->pairs);
	else
		do_resident(job->pairs);
}

__attribute__((noinline)) static void
descend(struct job *job, long depth)
{
	if (depth > 2) {
		descend(job, depth - 1);
	} else {
		if (strcmp(job->workload, "live") == 0)
			make_live();
		uint64_t start = now_ns();

		work(job);
		job->nanoseconds = (double)(now_ns() - start) / (double)job->pairs;
	}
	__asm__ volatile("" ::: "memory");
}

static void *
run(void *argument)
{
	struct job *job = argument;

	descend(job, job->depth);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct job jobs[64];
	double sum = 0;

	if (argc != 5)
		return 2;
	long threads = strtol(argv[3], NULL, 10);

	if (threads < 1 || threads > 64)
		return 2;
	for (long i = 0; i < threads; i++) {
		jobs[i] = (struct job){.workload = argv[1],
				       .depth = strtol(argv[2], NULL, 10),
				       .pairs = strtol(argv[4], NULL, 10)};
		if (threads > 1 && pthread_create(&jobs[i].thread, NULL, run, &jobs[i]) != 0)
			return 1;
	}
	if (threads == 1)
		run(&jobs[0]);
	for (long i = 0; i < threads; i++) {
		if (threads > 1)
			pthread_join(jobs[i].thread, NULL);
		sum += jobs[i].nanoseconds;
	}
	printf("ns %.2f\n", sum / (double)threads);
	return 0;
}
