/*
 * test_retreat.c: is the recording given up for the programs' sake where it has to be, and nowhere
 * else?
 *
 * Beside test_limits: limits that are set late, small blocks, memory that is locked as it comes,
 * failures for other reasons, threads that nobody can tell apart, threads in the midst of an exec,
 * and programs that take away or cover what is the tracer's.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the library's own segments take, and what the program's figures are rounded by. */
#define BAND_MIB 3

static const char *const modes[] = {"VMTRACE_MALLOC=off", "VMTRACE_MALLOC=sampled",
				    "VMTRACE_MALLOC=all"};

static void
run_at_limit(struct run *run, const char *way, const char *mode)
{
	const char *const argv[] = {built("tests/target/at_limit"), way, NULL};
	const char *environment[8] = {mode};
	const char *const *preload = preloaded(scratch_file("at_limit.%p.vmt"));

	for (size_t i = 0; mode && i < 6 && preload[i] != NULL; i++)
		environment[i + 1] = preload[i];
	run_program(run, argv, environment);
	if (run->exit_status != 0)
		fail_msg("%s, %s: status %x: %s", way, mode, (unsigned)run->wait_status, run->err);
	assert_string_equal(run->err, "");
}

/* For want of what the recording of the last run was given up; NULL: it was not. */
static void
check_shortage(const char *way, const char *mode, const char *shortage)
{
	const char *trace = scratch_file("recorded.vmt");
	const char *const argv[] = {built("tests/target/at_limit"), way, NULL};
	struct run run;
	json_t *found;
	const char *said;

	setenv("VMTRACE_MALLOC", strchr(mode, '=') + 1, 1);
	record(&run, trace, NULL, argv);
	unsetenv("VMTRACE_MALLOC");
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	found = report(trace, NULL);
	said = json_string_value(json_object_get(member(found, "process"), "shortage"));
	if (shortage)
		assert_string_equal(said, shortage);
	else
		assert_null(said);
	json_decref(found);
}

static void
compare_figure(const char *way, const char *mode)
{
	struct run bare, ours;
	long bare_mib, ours_mib;

	run_at_limit(&bare, way, NULL);
	run_at_limit(&ours, way, mode);
	bare_mib = strtol(bare.out, NULL, 10);
	ours_mib = strtol(ours.out, NULL, 10);
	assert_true(bare_mib > 2 * BAND_MIB);
	if (labs(bare_mib - ours_mib) > BAND_MIB)
		fail_msg("%s, %s: %ld MiB bare, %ld MiB", way, mode, bare_mib, ours_mib);
	run_free(&bare);
	run_free(&ours);
	check_shortage(way, mode, "address space (RLIMIT_AS)");
}

static void
small_blocks_under_a_late_limit(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		compare_figure("blocks", modes[i]);
}

static void
memory_that_is_locked_as_it_comes(void **state)
{
	(void)state;
	compare_figure("locked", modes[1]);
}

static void
compare_output(const char *way, const char *mode)
{
	struct run bare, ours;

	run_at_limit(&bare, way, NULL);
	run_at_limit(&ours, way, mode);
	assert_string_equal(ours.out, bare.out);
	run_free(&bare);
	run_free(&ours);
}

/* They fail as without us, and the recording goes on: it has what comes after them. */
static void
failures_for_other_reasons(void **state)
{
	json_t *events;
	json_t *event;
	bool seen = false;
	size_t i;

	(void)state;
	compare_output("others", modes[1]);
	check_shortage("others", modes[1], NULL);
	events = dump(scratch_file("recorded.vmt"), "event");
	json_array_foreach(events, i, event)
	{
		seen |= strcmp(json_string_value(member(event, "kind")), "MMAP") == 0 &&
			json_integer_value(json_object_get(event, "length")) == 5 << 20;
	}
	assert_true(seen);
	json_decref(events);
}

/* Nobody can tell whether it is inside a hook: what is mapped stays, and the recording with it. */
static void
beside_a_thread_without_a_state(void **state)
{
	(void)state;
	compare_output("shared", modes[1]);
	check_shortage("shared", modes[1], NULL);
}

static void
in_the_midst_of_an_exec(void **state)
{
	(void)state;
	compare_output("exec", modes[1]);
}

/* The exec waits for the recorder, which does not answer: what it reads meanwhile stays. */
static void
while_an_exec_asks_for_the_recorder(void **state)
{
	const char *const argv[] = {built("vmtrace"),
				    "record",
				    "-o",
				    scratch_file("asking.%p.vmt"),
				    "--",
				    built("tests/target/at_limit"),
				    "asking",
				    built("tests/target/static_successor"),
				    NULL};
	struct run run;

	(void)state;
	run_program(&run, argv, (const char *const[]){"VMTRACE_EXIT_WAIT=20ms", NULL});
	if (run.exit_status != 0)
		fail_msg("status %x: %s", (unsigned)run.wait_status, run.err);
	assert_string_equal(run.out, "room\n");
	run_free(&run);
}

static void
check_words(const char *script, const char *said, const char *not_said)
{
	struct run run;

	run_program(&run, (const char *[]){"sh", "-c", script, NULL}, NULL);
	if (run.exit_status != 0)
		fail_msg("%s: status %x: %s", script, (unsigned)run.wait_status, run.err);
	if (!says(run.err, said) || says(run.err, not_said))
		fail_msg("%s: said %s", script, run.err);
	run_free(&run);
}

/* Given up and never loaded are two things. */
static void
what_was_recorded_is_not_called_unloaded(void **state)
{
	const char *trace = scratch_file("words.vmt");
	char script[2048];

	(void)state;
	snprintf(script, sizeof(script),
		 "ulimit -S -v 60000; exec '%s' record -o '%s' -- '%s' 1 512", built("vmtrace"),
		 trace, built("tests/target/fill"));
	check_words(script, "ended before the program did", "never loaded");
	snprintf(script, sizeof(script), "'%s' trace '%s' record -o '%s' -- '%s'; [ $? = 37 ]",
		 built("tests/target/refused"), built("vmtrace"), trace,
		 built("tests/target/static_successor"));
	check_words(script, "never loaded", "was recorded");
}

/* Recorded, and where nothing can be. */
static void
what_is_needed_is_not_taken_away(void **state)
{
	static const char *const ways[] = {"pages", "whole", "cover", "move", "beside"};
	static const char *const places[] = {"unmapped.%p.vmt", "nowhere/unmapped.%p.vmt"};

	(void)state;
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < 2; j++) {
			struct run run;

			run_program(
			    &run, (const char *[]){built("tests/target/unmap_all"), ways[i], NULL},
			    preloaded(scratch_file(places[j])));
			if (run.exit_status != 0)
				fail_msg("%s, %s: status %x", ways[i], places[j],
					 (unsigned)run.wait_status);
			assert_string_equal(run.out, "went on\n");
			run_free(&run);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_blocks_under_a_late_limit),
	    cmocka_unit_test(memory_that_is_locked_as_it_comes),
	    cmocka_unit_test(failures_for_other_reasons),
	    cmocka_unit_test(beside_a_thread_without_a_state),
	    cmocka_unit_test(in_the_midst_of_an_exec),
	    cmocka_unit_test(while_an_exec_asks_for_the_recorder),
	    cmocka_unit_test(what_was_recorded_is_not_called_unloaded),
	    cmocka_unit_test(what_is_needed_is_not_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
