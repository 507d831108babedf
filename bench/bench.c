/*
 * bench.c: what does recording cost, beside what else one could use?
 *
 * Runs every configuration of every workload in turn, ROUNDS times (A B C A B C ...), so that the
 * machine's drift hits all alike, and prints medians and their ratio to the bare program of the
 * same run. Usage: bench BUILD-DIRECTORY [ROUNDS]. Needs nothing but the build; heaptrack where
 * installed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS 25

static const char *build;
static char directory[] = "/tmp/vmtrace-bench-XXXXXX";

struct configuration {
	const char *name;
	const char *preload; /* file in the build directory, or NULL */
	const char *malloc_mode;
	const char *stacks; /* VMTRACE_STACKS, or NULL */
	int heaptrack;
	int fine; /* only beside workloads made for fine sampling, where alone of vmtrace's */
	int look; /* only beside workloads that give address space back */
};

static const struct configuration configurations[] = {
    {.name = "no preload"},
    {.name = "plain forwarding", .preload = "libforward.so"},
    {.name = "forwarding, mincore", .preload = "libforward.so", .look = 1},
    {.name = "vmtrace off", .preload = "libvmtrace.so", .malloc_mode = "off"},
    {.name = "vmtrace sampled", .preload = "libvmtrace.so", .malloc_mode = "sampled"},
    {.name = "vmtrace sampled:256",
     .preload = "libvmtrace.so",
     .malloc_mode = "sampled:256",
     .fine = 1},
    {.name = "vmtrace all", .preload = "libvmtrace.so", .malloc_mode = "all"},
    {.name = "vmtrace all, fp", .preload = "libvmtrace.so", .malloc_mode = "all", .stacks = "fp"},
    {.name = "heaptrack", .heaptrack = 1},
};
#define CONFIGURATIONS (sizeof(configurations) / sizeof(configurations[0]))

static void
set_environment(const struct configuration *configuration)
{
	char value[4096];

	if (configuration->preload == NULL)
		return;
	snprintf(value, sizeof(value), "%s/%s", build, configuration->preload);
	setenv("LD_PRELOAD", value, 1);
	if (configuration->look)
		setenv("FORWARD_MINCORE", "1", 1);
	if (configuration->malloc_mode == NULL)
		return;
	setenv("VMTRACE_MALLOC", configuration->malloc_mode, 1);
	if (configuration->stacks != NULL)
		setenv("VMTRACE_STACKS", configuration->stacks, 1);
	snprintf(value, sizeof(value), "%s/t.%%p.vmt", directory);
	setenv("VMTRACE_OUTPUT", value, 1);
}

/* Output of a command that the shell runs; the caller closes it with pclose. */
static double
last_ns(FILE *output)
{
	char line[4096];
	double found = -1;

	while (fgets(line, sizeof(line), output) != NULL)
		if (strncmp(line, "ns ", 3) == 0)
			found = strtod(line + 3, NULL);
	return found;
}

static double
run_pair(const struct configuration *configuration, const char *workload, const char *arguments)
{
	char command[8192];
	int channel[2];

	snprintf(command, sizeof(command), "exec %s %s/bench/pair %s %s 2>/dev/null",
		 configuration->heaptrack ? "heaptrack -r -o /dev/shm/vmtrace-bench-heaptrack" : "",
		 build, workload, arguments);
	if (pipe(channel) != 0)
		return -1;
	pid_t pid = fork();

	if (pid == 0) {
		dup2(channel[1], 1);
		close(channel[0]);
		close(channel[1]);
		set_environment(configuration);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(channel[1]);
	FILE *output = fdopen(channel[0], "r");
	double value = last_ns(output);

	fclose(output);
	waitpid(pid, NULL, 0);
	return value;
}

static int
by_value(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static double
median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), by_value);
	return values[count / 2];
}

static int
usable(const struct configuration *configuration, const char *workload)
{
	int fine = strcmp(workload, "few") == 0 || strcmp(workload, "live") == 0;

	int map = strcmp(workload, "mmap") == 0 || strcmp(workload, "none") == 0 ||
		  strcmp(workload, "touch") == 0 || strcmp(workload, "madvise") == 0;

	if (configuration->malloc_mode != NULL || configuration->heaptrack) {
		if (fine != configuration->fine)
			return 0;
	}
	if (configuration->look && !map)
		return 0;
	return !configuration->heaptrack || system("command -v heaptrack >/dev/null 2>&1") == 0;
}

static void
clean_directory(void)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s/* /dev/shm/vmtrace-bench-heaptrack*",
		 directory);
	if (system(command) != 0)
		fprintf(stderr, "bench: could not clean %s\n", directory);
}

static void
compare(const char *workload, const char *arguments, int rounds)
{
	static double values[CONFIGURATIONS][MAX_ROUNDS];
	double bare = 0;

	for (int round = 0; round < rounds; round++)
		for (size_t i = 0; i < CONFIGURATIONS; i++)
			if (usable(&configurations[i], workload)) {
				values[i][round] =
				    run_pair(&configurations[i], workload, arguments);
				clean_directory();
			}
	printf("\n%s, depth/threads/pairs %s\n", workload, arguments);
	for (size_t i = 0; i < CONFIGURATIONS; i++) {
		if (!usable(&configurations[i], workload))
			continue;
		double middle = median(values[i], rounds);

		if (i == 0)
			bare = middle;
		printf("  %-20s %10.1f ns  %7.2f\n", configurations[i].name, middle, middle / bare);
	}
	fflush(stdout);
}

static double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Runs a shell command; its wall seconds, user+sys seconds and peak RSS. */
static void
measure(const char *label, const char *command)
{
	struct rusage usage;
	int status;
	double start = seconds_now();
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		return;
	printf("  %-44s %7.2f s wall %7.2f s CPU %8.1f MiB peak\n", label, seconds_now() - start,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
	       (double)usage.ru_maxrss / 1024);
	fflush(stdout);
}

static void
measure_report(const char *what, const char *program)
{
	char command[8192];

	printf("\nreport of %s\n", what);
	snprintf(command, sizeof(command),
		 "exec %s/vmtrace record -o %s/big.vmt --malloc all -- %s/bench/%s >/dev/null 2>&1",
		 build, directory, build, program);
	measure("record", command);
	snprintf(command, sizeof(command), "exec %s/vmtrace report %s/big.vmt >/dev/null", build,
		 directory);
	measure("report", command);
	snprintf(command, sizeof(command),
		 "ls -l %s/big.vmt | awk '{print \"  MiB of trace: \" $5 / 1048576}'", directory);
	if (system(command) != 0)
		fprintf(stderr, "bench: no trace\n");
	clean_directory();
}

static void
measure_sampler(void)
{
	char command[8192];

	printf("\nresidency snapshot of 1 GiB in 4 KiB pages (collector's CPU, from the trace)\n");
	fflush(stdout);
	snprintf(
	    command, sizeof(command),
	    "%s/vmtrace record -o %s/gib.vmt -- %s/bench/pair resident 2 1 1024 >/dev/null 2>&1; "
	    "%s/vmtrace dump --format json %s/gib.vmt | grep '\"record\":\"snapshot\"' | tail -n 1 "
	    "| "
	    "grep -oE '\"(resident_bytes|duration_ns|cpu_ns)\":[0-9]+' | head -n 3 | sed 's/^/  /'",
	    build, directory, build, build, directory);
	if (system(command) != 0)
		fprintf(stderr, "bench: no snapshot\n");
	clean_directory();
}

int
main(int argc, char **argv)
{
	static const char *const crossed[] = {
	    "2 1 1000000", "2 2 500000",   "2 8 200000",  "10 1 1000000", "10 2 500000",
	    "10 8 200000", "30 1 1000000", "30 2 500000", "30 8 200000",
	};
	int rounds = argc > 2 ? atoi(argv[2]) : 5;

	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS || mkdtemp(directory) == NULL)
		return 2;
	build = argv[1];
	printf("medians of %d interleaved rounds; the last column is the ratio to no preload\n",
	       rounds);
	for (size_t i = 0; i < sizeof(crossed) / sizeof(crossed[0]); i++)
		compare("malloc", crossed[i], rounds);
	compare("few", "2 1 1000000", rounds);
	compare("live", "2 1 1000000", rounds);
	compare("mmap", "10 1 100000", rounds);
	compare("none", "10 1 100000", rounds);
	compare("touch", "10 1 50000", rounds);
	compare("madvise", "10 1 50000", rounds);
	measure_sampler();
	measure_report("50 million events: pairs of malloc and free", "pair malloc 10 1 25000000");
	measure_report("10 million events: a million live blocks, 4096 stacks",
		       "churn 1000000 4500000 1");
	clean_directory();
	return rmdir(directory) == 0 ? 0 : 1;
}
