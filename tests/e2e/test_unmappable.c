/*
 * test_unmappable.c: is a program recorded where its trace's file system maps no file shared?
 *
 * Once with a tracer that refuses such mappings below one directory, and, where the machine has
 * FUSE, on a file system of our own that has none (tests/target/unmappable.c). The traces are
 * ordinary ones: complete however the program ends, and what was drained where it is killed
 * together with its collector, or with the file system's server as well.
 */
#include "tests/e2e/books.h"
#include "tests/e2e/inject.h"
#include "tests/e2e/living.h"
#include "tests/soak.h"
#include "tests/target/storm.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS_FAST 3
#define KILLS_SOAK 60
#define LONGEST_LIFE_MS 60

enum killing { KILL_PROGRAM, KILL_BOTH, KILL_ALL, KILLINGS };

static const char *const killing_names[KILLINGS] = {
    "the program", "program and collector", "program, collector and the file system's server"};

static char *mounted; /* where the file system of our own appears */
static char *backing; /* and where its files are */
static struct storm_witness *witness;
static int witness_fd;

static int
make_place(void **state)
{
	(void)state;
	mounted = strdup(scratch_file("mounted"));
	backing = strdup(scratch_file("backing"));
	witness_fd = memfd_create("witness", 0);
	if (mkdir(mounted, 0700) != 0 || mkdir(backing, 0700) != 0 || witness_fd < 0 ||
	    ftruncate(witness_fd, sizeof(*witness)) != 0)
		return -1;
	witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED, witness_fd, 0);
	return witness == MAP_FAILED ? -1 : 0;
}

/* The command line that runs a program with our file system mounted; ends with NULL. */
static void
put_beside(const char *argv[16], const char *const program[])
{
	size_t count = 0;

	argv[count++] = "unshare";
	argv[count++] = "-m";
	argv[count++] = strdup(built("tests/target/unmappable"));
	argv[count++] = mounted;
	argv[count++] = backing;
	for (size_t i = 0; program[i] != NULL; i++) {
		assert_true(count < 15);
		argv[count++] = program[i];
	}
	argv[count] = NULL;
}

static void
need_fuse(void)
{
	const char *argv[16];
	struct run run;

	put_beside(argv, (const char *const[]){"true", NULL});
	run_program(&run, argv, NULL);
	bool may_mount = run.exit_status == 0;

	run_free(&run);
	if (!may_mount) {
		printf("skip: no leave to mount a FUSE file system\n");
		skip();
	}
}

static bool
is_said(json_t *root, const char *words)
{
	json_t *spot;
	size_t i;

	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i, spot)
	{
		if (strstr(json_string_value(spot), words) != NULL)
			return true;
	}
	return false;
}

static pid_t
pid_of_trace(const char *trace)
{
	return atoi(strstr(trace, "/t.") + 3);
}

/* No head stays where it lay; a session does where its collector was killed, as it does anywhere,
 * and is removed. */
static void
check_nothing_aside(const char *trace)
{
	static const char *const places[] = {"/dev/shm", "/tmp"};

	for (size_t i = 0; i < 2; i++) {
		char pattern[64];
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%s/.vmtrace.%d.*", places[i],
			 pid_of_trace(trace));
		if (glob(pattern, 0, NULL, &found) == 0)
			for (size_t at = 0; at < found.gl_pathc; at++) {
				if (strstr(found.gl_pathv[at], ".head") != NULL)
					fail_msg("%s is left behind", found.gl_pathv[at]);
				unlink(found.gl_pathv[at]);
			}
		globfree(&found);
	}
}

static void
check_complete(json_t *root)
{
	json_t *loss = member(root, "loss");

	check_report(root);
	assert_true(is_said(root, "has no shared mappings: events were written"));
	assert_int_equal(number(loss, "events_dropped") + number(loss, "events_overwritten"), 0);
	assert_int_equal(number(loss, "slots_abandoned") + number(loss, "cut_bytes"), 0);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_true(number(member(root, "snapshot"), "count") > 0);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "exit");
}

/* Traces of a pattern, all complete; removes them. */
static size_t
check_traces(const char *pattern)
{
	glob_t found;
	size_t count = 0;

	if (glob(pattern, 0, NULL, &found) == 0) {
		count = found.gl_pathc;
		for (size_t i = 0; i < count; i++) {
			json_t *root = report(found.gl_pathv[i], NULL);

			check_complete(root);
			check_nothing_aside(found.gl_pathv[i]);
			json_decref(root);
			unlink(found.gl_pathv[i]);
		}
	}
	globfree(&found);
	return count;
}

static void
check_books(const char *out, const char *pattern)
{
	json_t *truth = json_loads(out, 0, NULL);
	glob_t found;

	assert_non_null(truth);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	json_t *root = report(found.gl_pathv[0], (const char *const[]){"--at", "end", NULL});

	books_compare_sites(truth, root);
	json_decref(root);
	json_decref(truth);
	globfree(&found);
}

/* The collector of a traced program ends while the tracer still watches. */
static void
test_refused_mappings(void **state)
{
	struct injection injection = {.whose = INJECT_PROGRAM, .unmappable = scratch()};
	struct injected injected;
	const char *output = strdup(scratch_file("t.%p.vmt"));
	const char *pattern = strdup(scratch_file("t.*.vmt"));
	const char *environment[5] = {NULL, NULL, "VMTRACE_MALLOC=all", "VMTRACE_EXIT_WAIT=60s",
				      NULL};
	struct run bare;

	(void)state;
	memcpy(environment, preloaded(output), 2 * sizeof(environment[0]));
	run_program(&bare, (const char *const[]){built("tests/target/ordinary"), NULL}, NULL);
	inject_run(&injected, &injection,
		   (const char *const[]){built("tests/target/ordinary"), NULL}, environment);
	assert_string_equal(injected.run.err, "");
	assert_string_equal(injected.run.out, bare.out);
	assert_int_equal(injected.run.exit_status, bare.exit_status);
	assert_int_equal(check_traces(pattern), 3);
	run_free(&injected.run);
	run_free(&bare);

	inject_run(&injected, &injection,
		   (const char *const[]){built("tests/target/malloc_sites"), NULL}, environment);
	check_books(injected.run.out, pattern);
	assert_int_equal(check_traces(pattern), 1);
	run_free(&injected.run);
}

/* Not in /dev/shm and /tmp either: one line, and the program runs. */
static void
test_nowhere_aside(void **state)
{
	struct injection injection = {.whose = INJECT_PROGRAM, .unmappable = "/"};
	struct injected injected;

	(void)state;
	inject_run(&injected, &injection,
		   (const char *const[]){built("tests/target/malloc_sites"), NULL},
		   preloaded(scratch_file("t.%p.vmt")));
	assert_int_equal(injected.run.exit_status, 0);
	assert_non_null(says(injected.run.err,
			     "vmtrace: not recording: no file can be mapped shared, neither "
			     "beside the trace nor in /dev/shm or /tmp: "));
	assert_ptr_equal(strchr(injected.run.err, '\n'),
			 injected.run.err + strlen(injected.run.err) - 1);
	assert_int_equal(check_traces(scratch_file("t.*.vmt")), 0);
	run_free(&injected.run);
}

static void
run_mounted(struct run *run, const char *const program[])
{
	const char *argv[16];

	put_beside(argv, program);
	run_program(run, argv, NULL);
}

static void
test_mounted(void **state)
{
	const char *pattern = strdup(scratch_file("backing/t.*.vmt"));
	const char *library = strdup(preloaded("x")[0]);
	char output[PATH_MAX];
	struct run run;

	(void)state;
	need_fuse();
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s/t.%%p.vmt", mounted);
	run_mounted(&run, (const char *const[]){"env", library, output, "VMTRACE_MALLOC=all",
						built("tests/target/malloc_sites"), NULL});
	check_books(run.out, pattern);
	assert_int_equal(check_traces(pattern), 1);
	run_free(&run);
	run_mounted(&run, (const char *const[]){"env", library, output,
						built("tests/target/ordinary"), NULL});
	assert_int_equal(run.exit_status, 3);
	assert_int_equal(check_traces(pattern), 3);
	run_free(&run);
	run_mounted(&run, (const char *const[]){built("vmtrace"), "record", "-o",
						strchr(output, '/'), "--malloc", "all", "--",
						built("tests/target/ordinary"), NULL});
	assert_int_equal(run.exit_status, 3);
	assert_int_equal(check_traces(pattern), 3);
	run_free(&run);
}

/* Starts a storm in a process group of its own. */
static pid_t
start_storm(const char *kind)
{
	char output[PATH_MAX];
	char fd[16];
	const char *argv[16];
	pid_t pid;

	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s/t.%%p.vmt", mounted);
	snprintf(fd, sizeof(fd), "%d", witness_fd);
	put_beside(argv, (const char *const[]){"env", strdup(preloaded("x")[0]), output,
					       "VMTRACE_MALLOC=all", built("tests/target/storm"),
					       kind, fd, NULL});
	memset(witness, 0, sizeof(*witness));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(126);
	}
	assert_true(pid > 0);
	return pid;
}

static uint64_t
confirmed(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < STORM_THREADS; i++)
		sum += witness->confirmed[i];
	return sum;
}

/* Waits for the last file on the file system to be closed. */
static void
strike(pid_t wrapper, pid_t program, pid_t collector, enum killing killing)
{
	int status;

	if (killing == KILL_ALL) {
		kill(collector, SIGKILL);
		kill(-wrapper, SIGKILL);
	} else {
		kill(killing == KILL_BOTH ? collector : program, SIGKILL);
		kill(program, SIGKILL);
	}
	assert_int_equal(waitpid(wrapper, &status, 0), wrapper);
	while (kill(-wrapper, 0) == 0)
		poll(NULL, 0, 1);
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* What the storm's threads had confirmed, against what the trace has of them; how many of their
 * calls are in it. */
static uint64_t
check_storm(const char *trace, const char *kind, enum killing killing)
{
	json_t *root = report(trace, NULL);
	uint64_t sum = 0;
	int64_t lost = number(member(root, "loss"), "events_dropped") +
		       number(member(root, "loss"), "events_overwritten");

	check_report(root);
	for (int i = 0; i < STORM_THREADS; i++) {
		bool maps = strcmp(kind, "map") == 0;
		char function[32];

		snprintf(function, sizeof(function), "%s_%d", maps ? "map" : "block", i);
		int64_t recorded = site_sum(root, maps ? "mmap" : "malloc", function, "count");

		assert_true(recorded <= (int64_t)witness->confirmed[i] + 1);
		if (killing == KILL_PROGRAM && recorded + lost < (int64_t)witness->confirmed[i])
			fail_msg("%s: %lld of %lld, %lld lost", function, (long long)recorded,
				 (long long)witness->confirmed[i], (long long)lost);
		sum += (uint64_t)recorded;
	}
	assert_int_equal(number(member(root, "loss"), "slots_abandoned") > STORM_THREADS, 0);
	/* Else the rings are cut at different times. */
	if (killing == KILL_PROGRAM)
		assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_true(
	    is_said(root, killing == KILL_PROGRAM ? "events were written" : "events are written"));
	assert_string_equal(json_string_value(member(member(root, "process"), "end")),
			    killing == KILL_PROGRAM ? "signal" : "cut");
	json_decref(root);
	return sum;
}

static void
test_killed_there(void **state)
{
	long kills = soak_count(KILLS_FAST, KILLS_SOAK);
	const char *pattern = strdup(scratch_file("backing/t.*.vmt"));

	(void)state;
	need_fuse();
	for (int killing = 0; killing < KILLINGS; killing++) {
		uint64_t calls = 0;
		uint64_t recorded = 0;

		for (long i = 0; i < kills; i++) {
			const char *kind = i % 2 == 0 ? "map" : "malloc";
			pid_t wrapper = start_storm(kind);
			pid_t collector = living_collector(pattern);
			glob_t found;

			assert_int_equal(glob(pattern, 0, NULL, &found), 0);
			while (confirmed() == 0)
				poll(NULL, 0, 1);
			poll(NULL, 0, (int)(random() % LONGEST_LIFE_MS));
			strike(wrapper, pid_of_trace(found.gl_pathv[0]), collector,
			       (enum killing)killing);
			calls += confirmed();
			recorded += check_storm(found.gl_pathv[0], kind, (enum killing)killing);
			check_nothing_aside(found.gl_pathv[0]);
			unlink(found.gl_pathv[0]);
			globfree(&found);
		}
		print_message("%ld kills of %s: %llu calls confirmed, %llu in the traces\n", kills,
			      killing_names[killing], (unsigned long long)calls,
			      (unsigned long long)recorded);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused_mappings),
	    cmocka_unit_test(test_nowhere_aside),
	    cmocka_unit_test(test_mounted),
	    cmocka_unit_test(test_killed_there),
	};

	return cmocka_run_group_tests_name("unmappable", tests, make_place, NULL);
}
