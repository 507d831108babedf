/*
 * touch.c: what does one page fault cost, and one new process or thread?
 *
 * Usage: touch WORKLOAD THREADS COUNT [EVENTS]. Prints nanoseconds of CPU time, of the process and
 * its children, to be compared between runs of the same machine (bench/touch.sh). Workloads:
 *   storm   each thread maps 64 MiB, touches every page and unmaps, COUNT times; for each page
 *   fork    COUNT children that end at once, one after the other; for each of them
 *   vfork   the same
 *   thread  COUNT threads that end at once, one after the other; for each of them
 *
 * With EVENTS, the program has so many page fault events of its own first, which its threads
 * inherit: as many as on a machine with more processors.
 */
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RANGE_BYTES ((size_t)64 << 20)
#define PAGE_BYTES 4096u
#define MOST_THREADS 64

static long count;

static void *
storm(void *unused)
{
	for (long i = 0; i < count; i++) {
		char *range = mmap(NULL, RANGE_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (range == MAP_FAILED)
			exit(1);
		madvise(range, RANGE_BYTES, MADV_NOHUGEPAGE);
		for (size_t at = 0; at < RANGE_BYTES; at += PAGE_BYTES)
			((volatile char *)range)[at] = 1;
		munmap(range, RANGE_BYTES);
	}
	return unused;
}

static void *
nothing(void *unused)
{
	return unused;
}

static uint64_t
process_cpu_ns(void)
{
	uint64_t ns = 0;

	for (int whose = RUSAGE_CHILDREN; whose <= RUSAGE_SELF; whose++) {
		struct rusage usage;

		getrusage(whose, &usage);
		ns += (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
		      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
	}
	return ns;
}

static uint64_t
time_storm(long threads)
{
	pthread_t ids[MOST_THREADS];
	uint64_t begin_ns = process_cpu_ns();

	for (long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, storm, NULL) != 0)
			exit(1);
	for (long i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	return (process_cpu_ns() - begin_ns) /
	       ((uint64_t)(threads * count) * (RANGE_BYTES / PAGE_BYTES));
}

static void
do_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void
do_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void
do_thread(void)
{
	pthread_t id;

	if (pthread_create(&id, NULL, nothing, NULL) != 0)
		exit(1);
	pthread_join(id, NULL);
}

static uint64_t
mean(void (*one)(void))
{
	uint64_t begin_ns = process_cpu_ns();

	for (long i = 0; i < count; i++)
		one();
	return (process_cpu_ns() - begin_ns) / (uint64_t)count;
}

/* They never give a sample. */
static void
open_events(long events)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_SW_PAGE_FAULTS_MIN,
				       .sample_period = UINT64_C(1) << 40,
				       .inherit = 1,
				       .exclude_hv = 1};

	for (long i = 0; i < events; i++)
		if (syscall(SYS_perf_event_open, &attr, 0, (int)(i % processors), -1, 0) < 0)
			exit(3);
}

int
main(int argc, char **argv)
{
	long threads = argc > 3 ? strtol(argv[2], NULL, 10) : 0;
	uint64_t ns;

	count = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	if (count < 1 || threads < 1 || threads > MOST_THREADS)
		return 2;
	open_events(argc > 4 ? strtol(argv[4], NULL, 10) : 0);
	if (strcmp(argv[1], "storm") == 0)
		ns = time_storm(threads);
	else if (strcmp(argv[1], "fork") == 0)
		ns = mean(do_fork);
	else if (strcmp(argv[1], "vfork") == 0)
		ns = mean(do_vfork);
	else
		ns = mean(do_thread);
	printf("%llu\n", (unsigned long long)ns);
	return 0;
}
