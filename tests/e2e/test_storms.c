/*
 * test_storms.c: does a trace hold all that a program had done when it was killed at any moment?
 *
 * Four storms: malloc and free on eight threads, mmap and munmap on eight, forks, a Go program that
 * calls C. Each is killed with SIGKILL, alone, together with the collector that the library had
 * made, or as a process group with `vmtrace record` in it, as a cgroup's OOM kill does. The first
 * three also as a program that loads no library, always under `vmtrace record`. Calls that
 * had returned are counted in a shared page (tests/target/storm.h) and must be in the trace, and at
 * most one more of each thread.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/living.h"
#include "tests/soak.h"
#include "tests/target/storm.h"

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS_FAST 3
#define KILLS_SOAK 84
#define LONGEST_LIFE_NS 25000000
#define LAST_CHILDREN 5
#define VICTIMS_MAX 64

enum killing { KILL_PROGRAM, KILL_BOTH, KILL_GROUP, KILLINGS };

static const char *const killing_names[KILLINGS] = {"program", "program and collector", "group"};

struct storm {
	const char *kind;
	const char *call;     /* as the report names it */
	const char *function; /* with %d for the thread */
	const char *program;
	bool is_static;
	long kills;
	long early; /* before the first call was confirmed */
	long lossy; /* with events dropped or overwritten, and counted */
	uint64_t confirmed;
};

static struct storm_witness *witness;
static int witness_fd;

static int
make_witness(void **state)
{
	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* collectors are orphans */
	witness_fd = memfd_create("witness", 0);
	if (witness_fd < 0 || ftruncate(witness_fd, sizeof(*witness)) != 0)
		return -1;
	witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED, witness_fd, 0);
	return witness == MAP_FAILED ? -1 : 0;
}

static void
remove_traces(void)
{
	static const char *const patterns[] = {"storm.*", ".vmtrace.*"};

	for (int i = 0; i < 2; i++) {
		glob_t found;

		if (glob(scratch_file(patterns[i]), 0, NULL, &found) == 0)
			for (size_t at = 0; at < found.gl_pathc; at++)
				unlink(found.gl_pathv[at]);
		globfree(&found);
	}
}

static bool
is_under_record(const struct storm *storm, enum killing killing)
{
	return storm->is_static || killing == KILL_GROUP;
}

/* Starts the storm in a process group of its own, under `vmtrace record` or with the bare library.
 */
static pid_t
start(const struct storm *storm, enum killing killing)
{
	char fd[16];
	const char *const *library = preloaded(scratch_file("storm.%p.vmt"));
	const char *output = scratch_file("storm.%p.vmt");
	const char *const bare[] = {storm->program, storm->kind, fd, NULL};
	const char *const recorded[] = {built("vmtrace"), "record", "-o", output,
					"--malloc",	  "all",    "--", bare[0],
					bare[1],	  bare[2],  NULL};
	pid_t pid;

	snprintf(fd, sizeof(fd), "%d", witness_fd);
	memset(witness, 0, sizeof(*witness));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		bool is_recorded = is_under_record(storm, killing);
		const char *const *argv = is_recorded ? recorded : bare;

		setpgid(0, 0);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(126);
		for (int i = 0; !is_recorded && library[i] != NULL; i++)
			putenv(strdup(library[i]));
		setenv("VMTRACE_MALLOC", "all", 1);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(126);
	}
	assert_true(pid > 0);
	return pid;
}

static bool
has_confirmed(void)
{
	if (witness->children > 0)
		return true;
	for (int i = 0; i < STORM_THREADS; i++)
		if (witness->confirmed[i] > 0)
			return true;
	return false;
}

/* A quarter of the kills come at any time of the start, the others some time after the first call.
 */
static void
let_live(void)
{
	struct timespec life = {.tv_nsec = random() % LONGEST_LIFE_NS};
	int64_t deadline = now_ms() + 60000;
	bool early = random() % 4 == 0;

	while (!early && !has_confirmed()) {
		poll(NULL, 0, 1);
		assert_true(now_ms() < deadline);
	}
	nanosleep(&life, NULL);
}

/* Adds the children of a process. */
static size_t
add_children(pid_t pid, pid_t children[VICTIMS_MAX], size_t count)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	FILE *file = fopen(path, "re");

	while (file != NULL && count < VICTIMS_MAX && fscanf(file, "%d", &children[count]) == 1)
		count++;
	if (file != NULL)
		fclose(file);
	return count;
}

static void
strike(pid_t pid, enum killing killing)
{
	pid_t children[VICTIMS_MAX];
	size_t count = 0;
	bool program_first = random() % 2 == 0;

	if (killing == KILL_BOTH) /* the collector is an orphan: ours */
		count = add_children(getpid(), children, add_children(pid, children, 0));
	if (killing == KILL_GROUP)
		kill(-pid, SIGKILL);
	if (program_first)
		kill(pid, SIGKILL);
	for (size_t i = 0; i < count; i++)
		kill(children[i], SIGKILL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What `vmtrace record` runs; the command has to live until it has told of the end. */
static void
strike_recorded(pid_t command, enum killing killing)
{
	int64_t deadline = now_ms() + 60000;
	bool program_first = random() % 2 == 0;

	while (killing == KILL_PROGRAM && witness->pid == 0) {
		poll(NULL, 0, 1);
		assert_true(now_ms() < deadline);
	}
	if (witness->pid != 0 && (killing == KILL_PROGRAM || program_first))
		kill(witness->pid, SIGKILL);
	if (killing == KILL_BOTH)
		kill(command, SIGKILL);
	if (killing != KILL_PROGRAM)
		kill(-command, SIGKILL);
	assert_int_equal(waitpid(command, NULL, 0), command);
}

/* Until nobody has a file of the recording open or mapped: the storm's own children, its collector.
 */
static void
wait_for_rest(void)
{
	int64_t deadline = now_ms() + 30000;
	char command[4200];

	snprintf(command, sizeof(command),
		 "ls -l /proc/[0-9]*/fd /proc/[0-9]*/map_files 2>/dev/null | grep -q '%s/'",
		 scratch());
	while (system(command) == 0) {
		poll(NULL, 0, 5);
		assert_true(now_ms() < deadline);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* The report of a trace; NULL where the process had not got as far as having one. */
static json_t *
report_if_begun(const char *trace)
{
	const char *const argv[] = {built("vmtrace"), "report", "--format", "json", trace, NULL};
	struct run run;
	json_t *root = NULL;

	run_program(&run, argv, NULL);
	if (run.exit_status == 0)
		root = json_loads(run.out, 0, NULL);
	else if (run.exit_status != 2 || strchr(run.err, '\n') == NULL ||
		 strchr(run.err, '\n')[1] != '\0')
		fail_msg("report of %s: status %d: %s", trace, run.exit_status, run.err);
	run_free(&run);
	return root;
}

static int64_t
lost(json_t *root)
{
	json_t *loss = member(root, "loss");

	return number(loss, "events_dropped") + number(loss, "events_overwritten");
}

static void
check_sound(json_t *root, const char *trace)
{
	check_report(root);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	if (number(member(root, "loss"), "slots_abandoned") > STORM_THREADS)
		fail_msg("%s: %lld unfinished events", trace,
			 (long long)number(member(root, "loss"), "slots_abandoned"));
}

/* What one writer had confirmed, against what the trace has of it. */
static void
check_count(json_t *root, const struct storm *storm, const char *function, int64_t confirmed,
	    const char *trace)
{
	int64_t recorded = site_sum(root, storm->call, function, "count");

	if (recorded > confirmed + 1 || recorded + lost(root) < confirmed)
		fail_msg("%s: %s confirmed %lld times, recorded %lld times, %lld lost", trace,
			 function, (long long)confirmed, (long long)recorded,
			 (long long)lost(root));
}

/* A collector that came too late to see the program alive can't know how it ended. One that is
 * killed right after the program may have learnt it. */
static void
check_end(json_t *root, enum killing killing)
{
	const char *end = json_string_value(member(member(root, "process"), "end"));
	bool seen = number(member(root, "snapshot"), "count") > 0;

	if (killing == KILL_PROGRAM && seen)
		assert_string_equal(end, "signal");
	else if (strcmp(end, "signal") != 0)
		assert_string_equal(end, "cut");
}

static void
check_threads(struct storm *storm, enum killing killing)
{
	glob_t found;
	json_t *root = NULL;

	if (glob(scratch_file("storm.*.vmt"), 0, NULL, &found) == 0) {
		assert_int_equal(found.gl_pathc, 1);
		root = report_if_begun(found.gl_pathv[0]);
	}
	if (!has_confirmed())
		storm->early++;
	else if (root == NULL)
		fail_msg("calls were confirmed, and there is no trace");
	if (root != NULL) {
		check_sound(root, found.gl_pathv[0]);
		storm->lossy += lost(root) > 0;
	}
	for (int i = 0; i < STORM_THREADS && root != NULL; i++) {
		char function[32];

		snprintf(function, sizeof(function), "%s_%d", storm->function, i);
		check_count(root, storm, function, (int64_t)witness->confirmed[i],
			    found.gl_pathv[0]);
		storm->confirmed += witness->confirmed[i];
	}
	if (root != NULL)
		check_end(root, killing);
	json_decref(root);
	globfree(&found);
}

/* The last children, those that the kill may have met. */
static void
check_children(struct storm *storm)
{
	uint64_t count = witness->children;

	if (count == 0)
		storm->early++;
	for (uint64_t i = count > LAST_CHILDREN ? count - LAST_CHILDREN : 0; i < count; i++) {
		int64_t maps = witness->child[i].maps;
		char name[64];
		json_t *root;

		if (maps == 0)
			continue;
		snprintf(name, sizeof(name), "storm.%d.vmt", witness->child[i].pid);
		root = report_if_begun(scratch_file(name));
		if (root == NULL)
			fail_msg("%s: calls were confirmed, and there is no trace", name);
		check_sound(root, name);
		check_count(root, storm, "map_child", maps, name);
		storm->lossy += lost(root) > 0;
		storm->confirmed += (uint64_t)maps;
		json_decref(root);
	}
}

static void
storm_and_kill(struct storm *storm, enum killing killing)
{
	pid_t pid;

	remove_traces();
	pid = start(storm, killing);
	let_live();
	if (storm->is_static)
		strike_recorded(pid, killing);
	else
		strike(pid, killing);
	wait_for_rest();
	if (strcmp(storm->kind, "fork") == 0)
		check_children(storm);
	else
		check_threads(storm, killing);
	storm->kills++;
}

static void
kill_many(struct storm storm)
{
	long kills = soak_count(KILLS_FAST, KILLS_SOAK);

	srandom((unsigned)getpid());
	for (int killing = 0; killing < KILLINGS; killing++) {
		int64_t begun = now_ms();

		for (long i = 0; i < kills; i++)
			storm_and_kill(&storm, (enum killing)killing);
		print_message("%s storm, %s killed: %ld times in %.1f s\n", storm.kind,
			      killing_names[killing], kills, (double)(now_ms() - begun) / 1e3);
	}
	print_message(
	    "%s storm: %ld kills, %ld of them before the first call; %llu calls confirmed, "
	    "none missing; %ld traces with counted losses\n",
	    storm.kind, storm.kills, storm.early, (unsigned long long)storm.confirmed, storm.lossy);
}

static void
test_storm_of_blocks(void **state)
{
	(void)state;
	kill_many((struct storm){.kind = "malloc",
				 .call = "malloc",
				 .function = "block",
				 .program = strdup(built("tests/target/storm"))});
}

static void
test_storm_of_maps(void **state)
{
	(void)state;
	kill_many((struct storm){.kind = "map",
				 .call = "mmap",
				 .function = "map",
				 .program = strdup(built("tests/target/storm"))});
}

static void
test_storm_of_forks(void **state)
{
	(void)state;
	kill_many((struct storm){
	    .kind = "fork", .call = "mmap", .program = strdup(built("tests/target/storm"))});
}

static void
test_storm_of_go(void **state)
{
	(void)state;
	go_need("1.19");
	kill_many((struct storm){.kind = "Go",
				 .call = "malloc",
				 .function = "block",
				 .program = strdup(go_program("1.19", "storm", "", NULL))});
}

static void
test_storms_of_a_static_program(void **state)
{
	static const struct storm storms[] = {
	    {.kind = "malloc", .call = "malloc", .function = "block"},
	    {.kind = "map", .call = "mmap", .function = "map"},
	    {.kind = "fork", .call = "mmap"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(storms) / sizeof(storms[0]); i++) {
		struct storm storm = storms[i];

		storm.program = strdup(built("tests/target/static_storm"));
		storm.is_static = true;
		kill_many(storm);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_storm_of_blocks),
	    cmocka_unit_test(test_storm_of_maps),
	    cmocka_unit_test(test_storm_of_forks),
	    cmocka_unit_test(test_storm_of_go),
	    cmocka_unit_test(test_storms_of_a_static_program),
	};

	return cmocka_run_group_tests_name("storms", tests, make_witness, NULL);
}
