/*
 * startup.c: how long does a program take from its start to its end, or a fork child?
 *
 * Usage: startup TIMES PROGRAM [ARGUMENT...]. Runs the program TIMES times, one after the other,
 * and prints the median of the wall clock and the mean of its own CPU time, in microseconds.
 * PROGRAM may be exit or malloc: then the child executes nothing, but exits at once, or allocates
 * before.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_TIMES 10000

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double
children_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
be_child(char **argv)
{
	if (strcmp(argv[0], "malloc") == 0) {
		void *volatile block = malloc(100);

		free(block);
	} else if (strcmp(argv[0], "exit") != 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	_exit(0);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

int
main(int argc, char **argv)
{
	static uint64_t took_ns[MAX_TIMES];
	int times = argc > 2 ? atoi(argv[1]) : 0;

	if (times < 1 || times > MAX_TIMES)
		return 2;
	for (int i = 0; i < times; i++) {
		uint64_t start_ns = now_ns();
		pid_t pid = fork();

		if (pid == 0)
			be_child(argv + 2);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			return 1;
		took_ns[i] = now_ns() - start_ns;
	}
	qsort(took_ns, (size_t)times, sizeof(took_ns[0]), by_value);
	printf("%.0f %.0f\n", (double)took_ns[times / 2] / 1e3, children_us() / times);
	return 0;
}
