/*
 * test_faults.c: does a program run the same, whichever system call of ours the kernel refuses?
 *
 * The Nth one that the library makes for itself, for every N, fails with each of eight errors; the
 * same for the collector's. Output and exit status are those of a run without the library, and what
 * is left of the trace can be read, or refused in one line.
 */
#include "tests/e2e/inject.h"
#include "tests/soak.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int errors[] = {ENOMEM, EMFILE, ENOSPC, EINTR, EPERM, EAGAIN, ENOSYS, EACCES};

#define ERRORS ((long)(sizeof(errors) / sizeof(errors[0])))
/* Of the calls that could fail, each so-manieth does. The collector repeats its own a lot. */
#define STEP_FAST 67
#define STEP_COLLECTOR 7
#define INTERRUPTIONS 100

struct subject {
	const char *program;
	const char *expected;
	int status;
	long runs;
	long lines; /* runs after which there was a line on standard error */
	long unreadable;
};

static const char *const *
environment_of(const char *trace)
{
	static const char *all[4];
	const char *const *bare = preloaded(trace);

	all[0] = bare[0];
	all[1] = bare[1];
	all[2] = "VMTRACE_MALLOC=all";
	return all;
}

/* Nothing but lines of ours, each once. */
static void
check_stderr(struct subject *subject, const struct injected *injected)
{
	const char *line = injected->run.err;

	subject->lines += *line != '\0';
	for (; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strncmp(line, "vmtrace: ", 9) != 0 || strchr(line, '\n') == NULL)
			fail_msg("%s, %s: standard error has %s", subject->program, injected->where,
				 line);
}

/* Read, or one line of refusal and the status for it. */
static void
check_trace(struct subject *subject, const char *trace, const char *where)
{
	const char *const argv[] = {built("vmtrace"), "report", "--format", "json", trace, NULL};
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status == 0) {
		json_t *root = json_loads(run.out, 0, NULL);

		assert_non_null(root);
		check_report(root);
		json_decref(root);
	} else {
		subject->unreadable++;
		if (run.exit_status != 2 || strncmp(run.err, "vmtrace: ", 9) != 0 ||
		    strchr(run.err, '\n') != run.err + strlen(run.err) - 1)
			fail_msg("%s: report of %s: %d %s", where, trace, run.exit_status, run.err);
	}
	run_free(&run);
}

/* What lay aside stays where it may not be removed. */
static void
remove_aside(const char *trace)
{
	char pattern[64];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/dev/shm/.vmtrace.%d.*",
		 atoi(strstr(trace, "/fault.") + 7));
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

static void
check_traces(struct subject *subject, const char *where)
{
	glob_t found;

	if (glob(scratch_file("fault.*.vmt"), 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++) {
			check_trace(subject, found.gl_pathv[i], where);
			remove_aside(found.gl_pathv[i]);
			unlink(found.gl_pathv[i]);
		}
	globfree(&found);
}

static long
try_one(struct subject *subject, const struct injection *injection)
{
	const char *const argv[] = {subject->program, NULL};
	struct injected injected;

	inject_run(&injected, injection, argv, environment_of(scratch_file("fault.%p.vmt")));
	if (injected.run.exit_status != subject->status ||
	    strcmp(injected.run.out, subject->expected) != 0)
		fail_msg("%s, %s, %s: status %#x and\n%sinstead of %d and\n%s", subject->program,
			 injected.where, strerror(injection->error), injected.run.wait_status,
			 injected.run.out, subject->status, subject->expected);
	check_stderr(subject, &injected);
	if (injected.lingered)
		fail_msg("%s, %s, %s: the collector lingers", subject->program, injected.where,
			 strerror(injection->error));
	check_traces(subject, injected.where);
	subject->runs++;
	run_free(&injected.run);
	return injected.calls;
}

/* No signal interrupts for ever. */
static long
last_of(const struct injection *injection)
{
	return injection->error == EINTR ? injection->first + INTERRUPTIONS : LONG_MAX;
}

/* Calls first, first + step ...: in the fast form another error each. */
static void
try_each(struct subject *subject, enum inject_whose whose, bool onwards, const char *unmappable)
{
	struct injection none = {.whose = whose, .unmappable = unmappable};
	long calls = try_one(subject, &none);
	long step = soak_count(STEP_FAST, whose == INJECT_COLLECTOR ? STEP_COLLECTOR : 1);

	assert_true(calls > 10);
	for (long first = 1; first <= calls; first += step)
		for (long i = 0; i < ERRORS; i += soak_count(ERRORS, 1)) {
			struct injection injection = {
			    .whose = whose,
			    .first = first,
			    .error = errors[(i + first) % ERRORS],
			    .unmappable = unmappable,
			};

			injection.last = onwards ? last_of(&injection) : first;
			(void)try_one(subject, &injection);
		}
	print_message(
	    "%s: %ld calls of %s, %ld runs, %ld with a line of ours, %ld traces refused\n",
	    subject->program, calls, whose == INJECT_PROGRAM ? "the library" : "the collector",
	    subject->runs, subject->lines, subject->unreadable);
}

static void
try_program(const char *name, enum inject_whose whose, bool onwards, const char *unmappable)
{
	char program[PATH_MAX];
	struct subject subject = {.program = program};
	struct injection none = {.whose = whose};
	struct injected bare;

	snprintf(program, sizeof(program), "%s", built(name));
	inject_run(&bare, &none, (const char *const[]){program, NULL}, NULL);
	assert_int_equal(bare.calls, 0);
	subject.expected = bare.run.out;
	subject.status = bare.run.exit_status;
	try_each(&subject, whose, onwards, unmappable);
	run_free(&bare.run);
}

/* Events that a trace has. */
static long
events_of(const char *trace)
{
	const char *const argv[] = {built("vmtrace"), "report", "--format", "json", trace, NULL};
	struct run run;
	json_t *root;
	long events;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("report of %s: %d %s", trace, run.exit_status, run.err);
	root = json_loads(run.out, 0, NULL);
	assert_non_null(root);
	check_report(root);
	events = (long)number(member(root, "loss"), "events");
	assert_int_equal(number(member(root, "loss"), "events_missing"), 0);
	json_decref(root);
	run_free(&run);
	return events;
}

/* The collector of a program is killed at one of the calls by which it makes the trace smaller;
 * *calls: how many of them there were. */
static long
events_when_killed(const char *program, long at, long *calls)
{
	const struct injection injection = {.whose = INJECT_COLLECTOR,
					    .first = at,
					    .last = at,
					    .kills = true,
					    .source = "collect/compact.c"};
	const char *trace = scratch_file("killed.vmt");
	struct injected injected;
	long events;

	inject_run(&injected, &injection, (const char *const[]){program, NULL},
		   environment_of(trace));
	*calls = injected.calls;
	run_free(&injected.run);
	events = events_of(trace);
	unlink(trace);
	return events;
}

static void
a_collector_killed_while_it_makes_a_trace_smaller_costs_nothing(void **state)
{
	char program[PATH_MAX];
	long at = 0;
	long calls, events;

	(void)state;
	snprintf(program, sizeof(program), "%s", built("tests/target/ordinary"));
	events = events_when_killed(program, 0, &calls);
	assert_true(calls >= 6);
	do
		assert_int_equal(events_when_killed(program, ++at, &calls), events);
	while (calls >= at);
}

static void
test_one_call_refused(void **state)
{
	(void)state;
	try_program("tests/target/ordinary", INJECT_PROGRAM, false, NULL);
}

static void
test_all_further_calls_refused(void **state)
{
	(void)state;
	try_program("tests/target/ordinary", INJECT_PROGRAM, true, NULL);
}

static void
test_collector_refused(void **state)
{
	(void)state;
	try_program("tests/target/ordinary", INJECT_COLLECTOR, false, NULL);
}

/* Where the trace's file system shares no mappings. */
static void
test_refused_aside(void **state)
{
	char place[PATH_MAX];

	(void)state;
	snprintf(place, sizeof(place), "%s", scratch());
	try_program("tests/target/ordinary", INJECT_PROGRAM, false, place);
	try_program("tests/target/ordinary", INJECT_PROGRAM, true, place);
	try_program("tests/target/ordinary", INJECT_COLLECTOR, false, place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_collector_killed_while_it_makes_a_trace_smaller_costs_nothing),
	    cmocka_unit_test(test_one_call_refused),
	    cmocka_unit_test(test_all_further_calls_refused),
	    cmocka_unit_test(test_collector_refused),
	    cmocka_unit_test(test_refused_aside),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
