/*
 * workloads.c: what does recording cost real programs, beside what else one could use?
 *
 * Runs every configuration of every workload in turn, ROUNDS times (A B C A B C ...), so that the
 * machine's drift hits all alike, and prints medians as ratios to the bare program of the same run,
 * and the ratio of the lowest CPU times, which a noisy host disturbs least. CPU is user and system
 * time of all processes, collectors and helpers included: whatever a configuration leaves behind is
 * waited for. Memory is the largest sum of resident bytes of all processes that was seen, not
 * ru_maxrss, which a child inherits from whoever forks it.
 *
 * Usage: workloads BUILD-DIRECTORY [ROUNDS [NAME...]]. A workload is a shell command in which $T
 * stands before the program itself: heaptrack follows neither env nor a shell. What a workload
 * needs and is not there is said and left out. A configuration that left no trace is an error, not
 * a fast one.
 *
 * In the environment: SCALE=N makes the work N times as long (1; that of gcc, redis, python, jq and
 * Go), RECORDERS="sampled all" runs those configurations alone whose names hold one of the words.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS 25
#define POLL_NS 5000000
#define TEXT_BYTES 8192

static char directory[] = "/tmp/vmtrace-workloads-XXXXXX";

struct configuration {
	const char *name;
	const char *before; /* the program; %B = build directory, %D = scratch directory */
	const char *needs;  /* a shell command that succeeds where it can be used */
	const char *leaves; /* a shell command that succeeds when it recorded something */
};

static const char vmtrace_left[] =
    "ls %D/t*.vmt >/dev/null && for t in %D/t*.vmt; do %B/vmtrace report --format json $t; done | "
    "grep -q '\"kind\": *\"\\(malloc\\|calloc\\|realloc\\|operator new\\)\"'";

static const struct configuration configurations[] = {
    {"none", "", NULL, NULL},
    {"vmtrace sampled", "%B/vmtrace record -o %D/t.vmt --", NULL, vmtrace_left},
    {"vmtrace all", "%B/vmtrace record -o %D/t.vmt --malloc all --", NULL, vmtrace_left},
    {"heaptrack", "heaptrack -o %D/h", "command -v heaptrack", "test -s %D/h.zst -o -s %D/h.gz"},
    {"heaptrack -r", "heaptrack -r -o %D/h", "command -v heaptrack",
     "test -s %D/h.raw.zst -o -s %D/h.raw.gz"},
    {"jemalloc prof", "env LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF=prof:true,lg_prof_sample:19",
     "! LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF=prof:true true 2>&1 | grep -q .", NULL},
    {"vmtrace touch 61", "%B/vmtrace record -o %D/t.vmt --touch 61 --", NULL, vmtrace_left},
    {"vmtrace touch auto", "%B/vmtrace record -o %D/t.vmt --touch auto --", NULL, vmtrace_left},
};
#define CONFIGURATIONS (sizeof(configurations) / sizeof(configurations[0]))
#define HEAPTRACK 3

struct workload {
	const char *name;
	const char *needs;
	const char *prepare; /* once, in the scratch directory */
	const char *command;
};

static const struct workload workloads[] = {
    {"redis", "command -v redis-server && command -v redis-benchmark", NULL,
     "$T $(command -v redis-server) --port 0 --unixsocket %D/socket --save '' & "
     "until redis-cli -s %D/socket ping; do sleep .02; done; "
     "redis-benchmark -s %D/socket -t set,get,lpush,lpop -n $((40000 * %S)) -r 20000 -d 100 -q; "
     "redis-cli -s %D/socket shutdown nosave; wait"},
    {"sqlite", "command -v sqlite3", NULL,
     "$T $(command -v sqlite3) :memory: 'create table t(a integer primary key, b text, c real);"
     "insert into t with recursive n(x) as (select 1 union all select x+1 from n where x<1000000) "
     "select x, hex(x*7919), x*.5 from n; select count(*), sum(length(b)) from t where c > 1000;'"},
    {"python", "command -v python3", NULL,
     "export PYTHONMALLOC=malloc; "
     "$T $(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))') -c '\n"
     "d = {}\n"
     "for r in range(3 * %S):\n"
     "  for i in range(120000): d[i] = [i, str(i), (i, r)]\n"
     "print(len(sorted(d.values(), key=lambda v: v[1])))'"},
    {"jq", "command -v jq && command -v python3",
     "python3 -c 'import json; print(json.dumps([{\"id\": i, \"name\": \"n%d\" % i, \"tags\": "
     "[i % 7, str(i)]} for i in range(120000 * %S)]))' >%D/large.json",
     "$T $(command -v jq) '[.[] | select(.id % 3 == 0) | .tags[1] | length] | add' %D/large.json"},
    {"go, cgo malloc", "test -x %B/bench/cgo", NULL, "$T %B/bench/cgo $((1000000 * %S))"},
    {"two threads", NULL, NULL, "$T %B/bench/pair malloc 10 2 2000000"},
    {"factor", NULL, NULL, "$T ${CFRAC:-%B/bench/factor} ${CFRAC_NUMBER:-18446743979220271189}"},
    {"gcc -O2", "command -v gcc",
     "awk 'BEGIN { for (i = 0; i < 500 * %S; i++) printf \"int f%d(int *a, int n) { int s = %d; "
     "for "
     "(int "
     "i = 0; i < n; i++) { s += a[i] * %d; if (s & 8) s ^= a[i / 2]; switch (s %% 7) { case 1: s "
     "+= "
     "n; break; case 2: s -= a[0]; break; case 5: s *= 3; } } return s; }\\n\", i, i, i + 3 }' "
     ">%D/large.c",
     "$T $(gcc -print-prog-name=cc1) -quiet -O2 %D/large.c -o /dev/null"},
};
#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

struct cost {
	double cpu_s;
	double wall_s;
	double resident_mib;
};

static const char *build;

static const char *
scale(void)
{
	const char *asked = getenv("SCALE");

	return asked ? asked : "1";
}

static const char *
value_of(char letter)
{
	switch (letter) {
	case 'B':
		return build;
	case 'D':
		return directory;
	case 'S':
		return scale();
	default:
		return NULL;
	}
}

/* The pattern with %B, %D and %S filled in. */
static void
fill_in(const char *pattern, char *text)
{
	size_t used = 0;

	for (; *pattern && used + 1 < TEXT_BYTES; pattern++) {
		const char *word = *pattern == '%' ? value_of(pattern[1]) : NULL;

		if (word)
			pattern++;
		if (word)
			used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s", word);
		else
			text[used++] = *pattern;
		if (used >= TEXT_BYTES)
			exit(2);
	}
	text[used] = '\0';
}

static int
succeeds(const char *pattern)
{
	char command[TEXT_BYTES + 64];
	char text[TEXT_BYTES];

	if (!pattern)
		return 1;
	fill_in(pattern, text);
	snprintf(command, sizeof(command), "{ %s\n} >/dev/null 2>&1", text);
	return system(command) == 0;
}

static double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long
resident_pages(int pid)
{
	char path[64];
	long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	FILE *file = fopen(path, "r");

	if (!file)
		return 0;
	if (fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages;
}

/* Pages of all that descends from a process, without it. */
static long
pages_below(int pid)
{
	char path[64];
	long pages = 0;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	FILE *file = fopen(path, "r");

	if (!file)
		return 0;
	while (fscanf(file, "%d", &child) == 1)
		pages += resident_pages(child) + pages_below(child);
	fclose(file);
	return pages;
}

static double
cpu_of_children(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Waits for everything that descends from us, and notes how large it all was together. The wall
 * clock stops when the command has ended; a collector may go on. */
static struct cost
wait_for_all(pid_t command, double start_s, double cpu_before_s)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	struct cost cost = {.wall_s = -1};
	long most = 0;

	for (;;) {
		int status = 0;
		pid_t ended = waitpid(-1, &status, WNOHANG);
		long pages;

		if (ended < 0)
			break;
		if (ended == command) {
			cost.wall_s = seconds_now() - start_s;
			if (status != 0)
				cost.wall_s = -1;
		}
		if (ended > 0)
			continue;
		pages = pages_below(getpid());
		if (pages > most)
			most = pages;
		nanosleep(&pause, NULL);
	}
	cost.cpu_s = cpu_of_children() - cpu_before_s;
	cost.resident_mib = (double)most * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
	return cost;
}

static struct cost
run(const struct workload *workload, const struct configuration *configuration)
{
	char command[TEXT_BYTES];
	char before[TEXT_BYTES];
	double cpu_s = cpu_of_children();
	double start_s = seconds_now();

	fill_in(workload->command, command);
	fill_in(configuration->before, before);
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		setenv("T", before, 1);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return wait_for_all(pid, start_s, cpu_s);
}

static int
by_value(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static double
median(const struct cost *costs, int rounds, size_t field)
{
	double values[MAX_ROUNDS];

	for (int i = 0; i < rounds; i++)
		memcpy(&values[i], (const char *)&costs[i] + field, sizeof(values[i]));
	qsort(values, (size_t)rounds, sizeof(*values), by_value);
	return values[rounds / 2];
}

static double
lowest_cpu(const struct cost *costs, int rounds)
{
	double lowest = costs[0].cpu_s;

	for (int i = 1; i < rounds; i++)
		if (costs[i].cpu_s < lowest)
			lowest = costs[i].cpu_s;
	return lowest;
}

static struct cost
medians(const struct cost *costs, int rounds)
{
	return (struct cost){
	    .cpu_s = median(costs, rounds, offsetof(struct cost, cpu_s)),
	    .wall_s = median(costs, rounds, offsetof(struct cost, wall_s)),
	    .resident_mib = median(costs, rounds, offsetof(struct cost, resident_mib)),
	};
}

static void
print_rows(const struct workload *workload, const int *ran, struct cost costs[][MAX_ROUNDS],
	   int rounds)
{
	struct cost bare = medians(costs[0], rounds);
	double lowest = lowest_cpu(costs[0], rounds);
	struct cost heaptrack = ran[HEAPTRACK] ? medians(costs[HEAPTRACK], rounds) : bare;

	for (size_t i = 0; i < CONFIGURATIONS; i++) {
		struct cost cost = medians(costs[i], rounds);

		if (!ran[i])
			continue;
		printf("| %s | %s | %.2f | %.2f | %.2f | %+.1f |", workload->name,
		       configurations[i].name, cost.cpu_s / bare.cpu_s,
		       lowest_cpu(costs[i], rounds) / lowest, cost.wall_s / bare.wall_s,
		       cost.resident_mib - bare.resident_mib);
		if (i > 0 && heaptrack.cpu_s > bare.cpu_s)
			printf(" %.2f |\n",
			       (cost.cpu_s - bare.cpu_s) / (heaptrack.cpu_s - bare.cpu_s));
		else
			printf(" |\n");
	}
	fflush(stdout);
}

/* 0, or 1 when a run of ours or of the bare program failed or left nothing. Where another recorder
 * fails, its row is missing. */
static int
compare(const struct workload *workload, const int *usable, int rounds)
{
	static struct cost costs[CONFIGURATIONS][MAX_ROUNDS];
	int ran[CONFIGURATIONS];
	int failed = 0;

	memcpy(ran, usable, sizeof(ran));
	for (int round = 0; round < rounds; round++) {
		for (size_t i = 0; i < CONFIGURATIONS; i++) {
			if (!ran[i])
				continue;
			costs[i][round] = run(workload, &configurations[i]);
			if (costs[i][round].wall_s < 0 || !succeeds(configurations[i].leaves)) {
				fprintf(stderr, "workloads: %s under %s failed or left no trace\n",
					workload->name, configurations[i].name);
				ran[i] = 0;
				failed |= i < HEAPTRACK;
			}
			succeeds("rm -f %D/t*.vmt %D/h.* %D/socket");
		}
	}
	if (!failed)
		print_rows(workload, ran, costs, rounds);
	return failed;
}

static int
is_wanted(const char *name, char **names)
{
	if (!*names)
		return 1;
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return 1;
	return 0;
}

/* The bare program always. */
static int
is_asked(const char *name)
{
	char words[TEXT_BYTES];
	char *rest = words;
	char *word;

	if (!getenv("RECORDERS") || strcmp(name, "none") == 0)
		return 1;
	snprintf(words, sizeof(words), "%s", getenv("RECORDERS"));
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word && strstr(name, word))
			return 1;
	return 0;
}

static int
run_workload(const struct workload *workload, const int *usable, int rounds)
{
	if (!succeeds(workload->needs)) {
		fprintf(stderr, "workloads: %s left out: a program is missing (%s)\n",
			workload->name, workload->needs);
		return 0;
	}
	if (!succeeds(workload->prepare)) {
		fprintf(stderr, "workloads: %s: could not be prepared\n", workload->name);
		return 1;
	}
	return compare(workload, usable, rounds);
}

int
main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	int usable[CONFIGURATIONS];
	int failed = 0;

	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS || mkdtemp(directory) == NULL)
		return 2;
	build = argv[1];
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (size_t i = 0; i < CONFIGURATIONS; i++) {
		usable[i] = is_asked(configurations[i].name) && succeeds(configurations[i].needs);
		if (!usable[i] && is_asked(configurations[i].name))
			fprintf(stderr, "workloads: %s left out: not here\n",
				configurations[i].name);
	}
	printf("| workload | recorder | CPU | lowest CPU | wall | RSS added, MiB | CPU added, of "
	       "heaptrack's |\n| --- | --- | --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < WORKLOADS; i++)
		if (is_wanted(workloads[i].name, argv + (argc > 3 ? 3 : argc)))
			failed |= run_workload(&workloads[i], usable, rounds);
	succeeds("rm -rf %D");
	return failed;
}
