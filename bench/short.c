/*
 * short.c: what does a short program cost in all processes, its collector included?
 *
 * Usage: short TIMES LIBRARY[,LIBRARY...] PROGRAM [ARGUMENT...]. A library of - is none. Runs the
 * program with each library in turn, TIMES times, and prints CPU time in microseconds, lowest and
 * median: of the program, of the collector that it leaves behind, and of both; then the wall clock
 * to the program's end. As a subreaper it inherits the collector, and waits for it before the next
 * turn. Traces go where VMTRACE_OUTPUT says.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_TIMES 5000
#define MAX_LIBRARIES 4

enum { PROGRAM, COLLECTOR, BOTH, WALL, FIGURES };

static double figures_us[MAX_LIBRARIES][FIGURES][MAX_TIMES];

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double
cpu_us(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static void
be_program(const char *library, char **argv)
{
	if (strcmp(library, "-") != 0)
		setenv("LD_PRELOAD", library, 1);
	execv(argv[0], argv);
	_exit(127);
}

/* False: it could not be run. */
static int
run_once(const char *library, char **argv, double figures[FIGURES][MAX_TIMES], int turn)
{
	double start_us = now_us();
	struct rusage usage;
	int status;
	pid_t ended;
	pid_t pid = fork();

	if (pid == 0)
		be_program(library, argv);
	while ((ended = wait4(-1, &status, 0, &usage)) > 0) {
		if (ended == pid && WIFEXITED(status) && WEXITSTATUS(status) == 127)
			return 0;
		if (ended == pid)
			figures[WALL][turn] = now_us() - start_us;
		figures[ended == pid ? PROGRAM : COLLECTOR][turn] += cpu_us(&usage);
	}
	figures[BOTH][turn] = figures[PROGRAM][turn] + figures[COLLECTOR][turn];
	return pid > 0;
}

static int
by_value(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static void
print(const char *library, double figures[FIGURES][MAX_TIMES], int times)
{
	static const char *const names[FIGURES] = {"program", "collector", "both", "wall"};

	printf("%s\n", library);
	for (int i = 0; i < FIGURES; i++) {
		qsort(figures[i], (size_t)times, sizeof(double), by_value);
		printf("  %-10s %7.0f %7.0f\n", names[i], figures[i][0], figures[i][times / 2]);
	}
}

int
main(int argc, char **argv)
{
	const char *libraries[MAX_LIBRARIES];
	int times = argc > 3 ? atoi(argv[1]) : 0;
	int count = 0;

	if (times < 1 || times > MAX_TIMES || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 2;
	for (char *name = strtok(argv[2], ","); name && count < MAX_LIBRARIES;
	     name = strtok(NULL, ","))
		libraries[count++] = name;
	for (int turn = 0; turn < times; turn++)
		for (int i = 0; i < count; i++)
			if (!run_once(libraries[i], argv + 3, figures_us[i], turn))
				return 1;
	for (int i = 0; i < count; i++)
		print(libraries[i], figures_us[i], times);
	return 0;
}
