/*
 * fault_steps: touches pages when it is told to, and says how many faults that took
 *
 * Usage: fault_steps KIND PAGES [THREADS]
 *   pages    the first thread touches them
 *   at-once  the same, without waiting for anything
 *   threads  THREADS threads touch so many each, one after the other's start
 *   fork     so does a child, once it is told to; then the parent
 *
 * Each step waits for a line on standard input. Says "ready PID" ("child PID"), and after the work
 * "touched ADDRESS PAGES FAULTS": the region, and what getrusage counted over the work. At the end
 * "events N": how many of its descriptors are perf's.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t page_bytes;
static size_t pages;
static char *region;

static long
faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* Nothing of the C library's is touched by it for the first time while others count. */
static void
wait_for_line(const char *word)
{
	char byte;

	printf("%s %d\n", word, (int)getpid());
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) != 1)
		_exit(1);
}

static void
reserve(size_t count)
{
	region = mmap(NULL, count * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (region == MAP_FAILED || madvise(region, count * page_bytes, MADV_NOHUGEPAGE) != 0)
		_exit(1);
}

__attribute__((noinline)) static void
touch_pages(char *from)
{
	for (size_t i = 0; i < pages; i++)
		((volatile char *)from)[i * page_bytes] = 1;
}

static void *
touch_own(void *from)
{
	touch_pages(from);
	return NULL;
}

static void
say(size_t count, long before)
{
	long took = faults() - before;

	printf("touched %p %zu %ld\n", (void *)region, count, took);
	fflush(stdout);
}

static void
run_pages(const char *word)
{
	long before;

	reserve(pages);
	wait_for_line(word);
	before = faults();
	touch_pages(region);
	say(pages, before);
}

static void
run_at_once(void)
{
	long before;

	reserve(pages);
	before = faults();
	touch_pages(region);
	say(pages, before);
}

static void
run_threads(size_t count)
{
	pthread_t threads[64];
	long before;

	if (count > 64)
		_exit(1);
	reserve(pages * count);
	wait_for_line("ready");
	before = faults();
	for (size_t i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, touch_own, region + i * pages * page_bytes))
			_exit(1);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	say(pages * count, before);
}

static int
count_events(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	while (directory && (entry = readdir(directory))) {
		char path[300];
		char target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		if (readlink(path, target, sizeof(target) - 1) > 0)
			count += strstr(target, "perf_event") != NULL;
	}
	if (directory)
		closedir(directory);
	return count;
}

static void
run_fork(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		run_pages("child");
		printf("events %d\n", count_events());
		exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		_exit(1);
	run_pages("ready");
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	pages = strtoul(argv[2], NULL, 10);
	if (strcmp(argv[1], "pages") == 0)
		run_pages("ready");
	else if (strcmp(argv[1], "at-once") == 0)
		run_at_once();
	else if (strcmp(argv[1], "threads") == 0 && argc > 3)
		run_threads(strtoul(argv[3], NULL, 10));
	else if (strcmp(argv[1], "fork") == 0)
		run_fork();
	else
		return 2;
	printf("events %d\n", count_events());
	return 0;
}
