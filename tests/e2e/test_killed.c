/*
 * test_killed.c: what is left when somebody is killed?
 *
 * A witness maps ranges and confirms each through a pipe. Whatever it had confirmed when it, its
 * collector or both were killed must be in the trace, in order, and the trace must say how it
 * ended.
 */
#include "tests/e2e/living.h"
#include "tests/soak.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 10
#define LONG_STEPS "9000"
#define FROZEN_MS 1500	/* a heartbeat is old after a second */
#define LATE_MS 100	/* by how much the collector goes on later than the program */
#define EVENTS_A_STEP 3 /* mmap, malloc, free; and a munmap now and then */

struct testimony {
	long mapped;
	long unmapped;
};

static struct testimony
read_testimony(struct conversation *talk)
{
	struct testimony testimony;

	converse_read_line(talk);
	assert_int_equal(sscanf(talk->line, "%ld %ld", &testimony.mapped, &testimony.unmapped), 2);
	return testimony;
}

static struct testimony
read_testimonies(struct conversation *talk, long upto)
{
	struct testimony testimony;

	do
		testimony = read_testimony(talk);
	while (testimony.mapped < upto);
	return testimony;
}

/* What was still in the pipe when the witness died: lines that were written whole count. */
static struct testimony
read_rest(struct conversation *talk, struct testimony last)
{
	static char text[1 << 20];
	size_t used = 0;
	ssize_t some;

	while (used < sizeof(text) - 1 &&
	       (some = read(talk->from, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)some;
	while (used > 0 && text[used - 1] != '\n')
		used--;
	text[used] = '\0';
	char *line = text;

	for (char *at = text; *at != '\0'; at++)
		if (*at == '\n' && at[1] != '\0')
			line = at + 1;
	sscanf(line, "%ld %ld", &last.mapped, &last.unmapped);
	return last;
}

/* One range may have been made and not been confirmed. */
static void
check_testimony(json_t *root, struct testimony testimony)
{
	int64_t mapped = site_sum(root, "mmap", "map_witnessed", "count");
	int64_t blocks = site_sum(root, "malloc", "block_witnessed", "count");

	if (mapped < testimony.mapped || mapped > testimony.mapped + 1)
		fail_msg("%ld ranges confirmed, %lld recorded", testimony.mapped,
			 (long long)mapped);
	if (blocks < testimony.mapped || blocks > testimony.mapped + 1)
		fail_msg("%ld blocks confirmed, %lld recorded", testimony.mapped,
			 (long long)blocks);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	assert_int_equal(number(member(root, "loss"), "events_overwritten"), 0);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
}

static void
check_end(json_t *root, const char *end, int status)
{
	json_t *process = member(root, "process");

	assert_string_equal(json_string_value(member(process, "end")), end);
	assert_int_equal(number(process, "end_status"), status);
}

static void
start_bare(struct conversation *talk, const char *trace)
{
	const char *const *library = preloaded(trace);

	unlink(trace);
	converse_start(talk, (const char *const[]){built("tests/target/witness"), NULL},
		       (const char *const[]){library[0], library[1], "VMTRACE_MALLOC=all", NULL});
}

static void
reap(struct conversation *talk)
{
	int status;

	close(talk->to);
	close(talk->from);
	assert_int_equal(waitpid(talk->pid, &status, 0), talk->pid);
}

/* How far the witness gets before it dies: some steps, or some thousands. */
static long
steps_of(int round)
{
	return 1 + (long)round * round * 97;
}

static void
test_program_killed(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("program.vmt");

	(void)state;
	for (int round = 0; round < KILLS; round++) {
		start_bare(&talk, trace);
		living_collector(trace);
		struct testimony testimony = read_testimonies(&talk, steps_of(round));

		kill(talk.pid, SIGKILL);
		testimony = read_rest(&talk, testimony);
		living_reap(&talk, trace);
		json_t *root = report(trace, NULL);

		check_report(root);
		check_testimony(root, testimony);
		check_end(root, "signal", SIGKILL);
		json_decref(root);
	}
}

/* As an OOM kill of the whole group does: nobody is left to write an end. The program is stopped
 * first, lest it go on without a collector for as long as this process waits between two kills. */
static void
test_both_killed(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("both.vmt");

	(void)state;
	for (int round = 0; round < KILLS; round++) {
		start_bare(&talk, trace);
		struct testimony testimony = read_testimonies(&talk, steps_of(round));
		pid_t collector = living_collector(trace);

		kill(talk.pid, SIGSTOP);
		kill(collector, SIGKILL);
		kill(talk.pid, SIGKILL);
		testimony = read_rest(&talk, testimony);
		reap(&talk);
		json_t *root = report(trace, NULL);

		check_report(root);
		check_testimony(root, testimony);
		check_end(root, "cut", 0);
		json_decref(root);
	}
}

/* A witness that goes on to its own end, and the pid of its collector when it had got some way. */
static pid_t
start_long_witness(struct conversation *talk, const char *trace, long steps)
{
	const char *const *library = preloaded(trace);

	unlink(trace);
	converse_start(talk, (const char *const[]){built("tests/target/witness"), LONG_STEPS, NULL},
		       (const char *const[]){library[0], library[1], "VMTRACE_MALLOC=all", NULL});
	read_testimonies(talk, steps);
	return living_collector(trace);
}

/* What is not in the trace was overwritten, and is counted. The events that say where the program's
 * modules are may be among it: names are found by the module table. */
static void
check_long_witness(const char *trace, struct testimony last)
{
	json_t *root = report(trace, NULL);
	json_t *loss = member(root, "loss");
	json_t *events = dump(trace, "event");
	int64_t mapped = site_sum(root, "mmap", "map_witnessed", "count");

	check_report(root);
	assert_in_range(mapped, 1, last.mapped);
	assert_true(number(loss, "events") + number(loss, "events_dropped") +
			number(loss, "events_overwritten") >=
		    EVENTS_A_STEP * last.mapped + last.unmapped);
	assert_int_equal(number(loss, "events"), json_array_size(events));
	json_decref(events);
	json_decref(root);
}

/* The program lives on, unharmed, and the ring keeps what is newest; what it discards is counted.
 */
static void
test_collector_killed(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("collector.vmt");
	long rounds = soak_count(2, 40);

	(void)state;
	for (long round = 0; round < rounds; round++) {
		kill(start_long_witness(&talk, trace, 1 + round * 5000 / rounds), SIGKILL);
		struct testimony last = read_testimonies(&talk, atol(LONG_STEPS));

		assert_int_equal(converse_end(&talk), 0);
		check_long_witness(trace, last);
		json_t *root = report(trace, NULL);

		/* Its own destructor knows that it ends, and not with which status. */
		check_end(root, "exit", -1);
		json_decref(root);
	}
}

/* The same of one that stands still, and later goes on to write down how the program ended. */
static void
test_collector_stopped(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("stopped.vmt");
	long rounds = soak_count(2, 40);

	(void)state;
	for (long round = 0; round < rounds; round++) {
		pid_t collector = start_long_witness(&talk, trace, 1 + round * 5000 / rounds);

		kill(collector, SIGSTOP);
		struct testimony last = read_testimonies(&talk, atol(LONG_STEPS));
		int status = converse_end(&talk);

		kill(collector, SIGCONT);
		assert_int_equal(status, 0);
		living_wait_end(trace);
		check_long_witness(trace, last);
	}
}

/* A container that is paused: both find a heartbeat that is old by the clock when they go on, the
 * program first. What it does until its small rings are full and the collector is back is not lost.
 */
static void
test_both_frozen(void **state)
{
	static struct conversation talk;
	const char *trace = strdup(scratch_file("frozen.vmt"));
	const char *const *library = preloaded(trace);
	const char *const environment[] = {library[0], library[1], "VMTRACE_MALLOC=all",
					   "VMTRACE_BUFFER=16384", NULL};

	(void)state;
	converse_start(&talk,
		       (const char *const[]){built("tests/target/witness"), LONG_STEPS, NULL},
		       environment);
	read_testimonies(&talk, 100);
	pid_t collector = living_collector(trace);

	kill(collector, SIGSTOP);
	kill(talk.pid, SIGSTOP);
	poll(NULL, 0, FROZEN_MS);
	kill(talk.pid, SIGCONT);
	poll(NULL, 0, LATE_MS);
	kill(collector, SIGCONT);
	read_testimonies(&talk, atol(LONG_STEPS));
	assert_int_equal(converse_end(&talk), 0);
	living_wait_end(trace);
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_int_equal(number(member(root, "loss"), "events_overwritten"), 0);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	assert_int_equal(site_sum(root, "mmap", "map_witnessed", "count"), atol(LONG_STEPS));
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_program_killed),   cmocka_unit_test(test_both_killed),
	    cmocka_unit_test(test_collector_killed), cmocka_unit_test(test_collector_stopped),
	    cmocka_unit_test(test_both_frozen),
	};

	return cmocka_run_group_tests_name("killed", tests, NULL, NULL);
}
