/*
 * test_static_same.c: does a static program get the report that it would get as a dynamic one?
 *
 * The same source, linked in several ways: what its threads, its child and its end are to the
 * trace, and whose the memory is.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/says.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)
#define THREADS 4
#define TOUCHED_BYTES 60000

/* False: this compiler is not here. */
static bool
link_as(const char *program, const char *compiler, const char *flag)
{
	char command[512];
	struct run run;

	snprintf(command, sizeof(command),
		 "command -v %s >/dev/null || exit 9; "
		 "exec %s %s -D_GNU_SOURCE -O1 -g -o '%s' tests/target/family.c -lpthread",
		 compiler, compiler, flag, program);
	run_program(&run, (const char *const[]){"sh", "-c", command, NULL}, NULL);
	if (run.exit_status != 0 && run.exit_status != 9)
		fail_msg("%s", run.err);
	run_free(&run);
	return run.exit_status == 0;
}

static bool
is_event(json_t *row, const char *name)
{
	return strcmp(json_string_value(member(row, "kind")), name) == 0;
}

/* An argument of the events of a kind; `expected` are as many. */
static void
check_events(json_t *events, const char *name, const char *argument, const int64_t *expected,
	     size_t count)
{
	size_t found = 0;
	json_t *row;
	size_t i;

	json_array_foreach(events, i, row)
	{
		bool is_known = false;

		if (!is_event(row, name))
			continue;
		for (size_t k = 0; k < count; k++)
			is_known |= number(row, argument) == expected[k];
		assert_true(is_known);
		found++;
	}
	assert_int_equal(found, count);
}

/* Numbers behind a word, one a line. */
static size_t
read_numbers(const char *text, const char *word, int64_t *numbers, size_t room)
{
	size_t count = 0;

	for (; (text = strstr(text, word)) != NULL && count < room; text += strlen(word))
		numbers[count++] = strtoll(text + strlen(word), NULL, 10);
	return count;
}

static void
check_family(const char *program)
{
	const char *trace = scratch_file("family.vmt");
	const char *const argv[] = {program, NULL};
	int64_t threads[THREADS];
	int64_t child;
	int64_t status = 6;
	struct run run;
	json_t *events;
	json_t *root;

	record(&run, trace, (const char *const[]){"--follow", "none", NULL}, argv);
	assert_int_equal(run.exit_status, 6);
	assert_null(says(run.err, "not recorded"));
	assert_int_equal(read_numbers(run.out, "thread ", threads, THREADS), THREADS);
	assert_int_equal(read_numbers(run.out, "child ", &child, 1), 1);
	events = dump(trace, "event");
	check_events(events, "THREAD", "tid", threads, THREADS);
	check_events(events, "FORK", "child_pid", &child, 1);
	check_events(events, "EXIT", "status", &status, 1);
	json_decref(events);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	check_report(root);
	/* A static C library's own small mappings are seen, too. */
	assert_in_range(class_figure(root, "mmap", "reserved_bytes"), 32 * MIB, 32 * MIB + 65536);
	assert_in_range(class_committed(root, "mmap"), 20 * MIB, 20 * MIB + 65536);
	assert_in_range(class_committed(root, "thread stacks"), THREADS * TOUCHED_BYTES,
			THREADS * (TOUCHED_BYTES + 65536));
	assert_int_equal(class_committed(root, "unattributed"), 0);
	json_decref(root);
	run_free(&run);
}

static void
check_linked(const char *compiler, const char *flag)
{
	const char *program = scratch_file("family");

	if (!link_as(program, compiler, flag)) {
		printf("skip: no %s here\n", compiler);
		skip();
	}
	check_family(program);
}

static size_t
count_maps(json_t *events, int64_t bytes)
{
	size_t count = 0;
	json_t *row;
	size_t i;

	json_array_foreach(events, i, row) count +=
	    is_event(row, "MMAP") && number(row, "length") == bytes;
	return count;
}

/* Calls that a handler interrupts, and the handler's own. */
static void
test_handlers_interrupt_calls(void **state)
{
	const char *trace = scratch_file("signals.vmt");
	const char *program = built("tests/target/static_signals");
	int64_t mapped;
	int64_t handled;
	struct run run;
	json_t *events;

	(void)state;
	record(&run, trace, NULL, (const char *const[]){program, "1000", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(read_numbers(run.out, "mapped ", &mapped, 1), 1);
	assert_int_equal(read_numbers(run.out, "handled ", &handled, 1), 1);
	run_free(&run);
	events = dump(trace, "event");
	assert_int_equal(count_maps(events, (int64_t)8 * 4096), mapped);
	assert_int_equal(count_maps(events, (int64_t)3 * 4096), handled);
	json_decref(events);
}

/* What the interrupted call still needs stays there. */
static void
test_handlers_unmap_the_trace(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct run run;

		record(&run, scratch_file("unmapped.vmt"), NULL,
		       (const char *const[]){built("tests/target/static_handler_unmaps"), NULL});
		assert_int_equal(run.exit_status, 0);
		assert_non_null(says(run.out, "ok "));
		assert_null(says(run.out, "ok 0"));
		run_free(&run);
	}
}

/* What it does bare: that it has room for itself is enough. */
static void
expect_small_is_unharmed(const char *const *argv, size_t mapped)
{
	const char *trace = scratch_file("small.vmt");
	struct run run;
	json_t *events;

	record(&run, trace, NULL, argv);
	if (run.exit_status != 0)
		fail_msg("%s: %s", argv[0], run.out);
	run_free(&run);
	events = dump(trace, "event");
	assert_int_equal(count_maps(events, (int64_t)8 * 4096), mapped);
	json_decref(events);
}

static void
test_a_stack_may_be_full(void **state)
{
	(void)state;
	expect_small_is_unharmed(
	    (const char *const[]){built("tests/target/static_small_stack"), NULL}, 20);
	expect_small_is_unharmed(
	    (const char *const[]){built("tests/target/static_guardless_stack"), NULL}, 20);
	expect_small_is_unharmed(
	    (const char *const[]){built("tests/target/static_guardless_stack"), "frame", NULL}, 20);
}

static void
test_an_alternate_stack_may_lie_in_a_frame(void **state)
{
	const char *program = built("tests/target/static_small_alternate");

	(void)state;
	expect_small_is_unharmed((const char *const[]){program, "main", NULL}, 21);
	expect_small_is_unharmed((const char *const[]){program, "thread", NULL}, 21);
	expect_small_is_unharmed((const char *const[]){program, "main", "autodisarm", NULL}, 21);
	expect_small_is_unharmed((const char *const[]){program, "thread", "autodisarm", NULL}, 21);
}

/* They are looked at, and made on the caller's stack. */
static void
test_alternate_stacks_are_set_as_bare(void **state)
{
	const char *const argv[] = {built("tests/target/static_alternate_calls"), NULL};
	struct run bare;
	struct run recorded;

	(void)state;
	run_program(&bare, argv, NULL);
	assert_int_equal(bare.exit_status, 0);
	record(&recorded, scratch_file("calls.vmt"), NULL, argv);
	assert_int_equal(recorded.exit_status, 0);
	assert_string_equal(recorded.out, bare.out);
	run_free(&bare);
	run_free(&recorded);
}

static void
test_the_direction_flag_may_be_set(void **state)
{
	const char *program = built("tests/target/static_direction");

	(void)state;
	expect_small_is_unharmed((const char *const[]){program, NULL}, 20);
}

/* musl does not say where a thread's stack begins. */
static void
test_a_stack_of_musl_may_be_full(void **state)
{
	const char *program = scratch_file("guardless");
	const char *const argv[] = {"musl-gcc",
				    "-static",
				    "-O1",
				    "-I.",
				    "-o",
				    program,
				    "tests/target/static_guardless_stack.c",
				    NULL};
	struct run run;

	(void)state;
	need_program("musl-gcc");
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	expect_small_is_unharmed((const char *const[]){program, NULL}, 20);
}

/* What a handler does while its thread is in a call harms neither the call nor what comes after. */
static void
step_through(const char *what, const char *from, const char *stride, int64_t least)
{
	const char *program = built("tests/target/static_interrupted");
	const char *trace = scratch_file("interrupted.vmt");
	int64_t tried = 0;
	struct run run;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-o", trace, "--", program,
					  what, from, stride, NULL},
		    (const char *const[]){"VMTRACE_EXIT_WAIT=1ms", NULL});
	if (run.exit_status != 0)
		fail_msg("%s: %s%s", what, run.out, run.err);
	assert_int_equal(read_numbers(run.out, "tried ", &tried, 1), 1);
	assert_in_range(tried, least, INT64_MAX);
	run_free(&run);
}

static void
test_handlers_fork_in_a_call(void **state)
{
	(void)state;
	step_through("forks", "-450", "20", 10);
}

/* That it was left is counted, and what comes after is recorded. */
static void
test_handlers_jump_out_of_a_call(void **state)
{
	const char *trace = scratch_file("jumped.vmt");
	const char *program = built("tests/target/static_interrupted");
	struct run run;
	json_t *events;

	(void)state;
	record(&run, trace, NULL, (const char *const[]){program, "jumps", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "tried 1 "));
	run_free(&run);
	events = dump(trace, "event");
	assert_int_equal(count_maps(events, (int64_t)5 * 4096), 3);
	json_decref(events);
	run_program(&run, (const char *const[]){built("vmtrace"), "report", trace, NULL}, NULL);
	assert_non_null(says(run.out, "1 recorded calls were abandoned"));
	run_free(&run);
}

static void
test_dynamic(void **state)
{
	(void)state;
	check_linked("gcc", "");
}

static void
test_static(void **state)
{
	(void)state;
	check_linked("gcc", "-static");
}

static void
test_static_position_independent(void **state)
{
	(void)state;
	check_linked("gcc", "-static-pie");
}

static void
test_musl(void **state)
{
	(void)state;
	check_linked("musl-gcc", "-static");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_handlers_interrupt_calls),
	    cmocka_unit_test(test_handlers_unmap_the_trace),
	    cmocka_unit_test(test_a_stack_may_be_full),
	    cmocka_unit_test(test_a_stack_of_musl_may_be_full),
	    cmocka_unit_test(test_an_alternate_stack_may_lie_in_a_frame),
	    cmocka_unit_test(test_alternate_stacks_are_set_as_bare),
	    cmocka_unit_test(test_the_direction_flag_may_be_set),
	    cmocka_unit_test(test_handlers_fork_in_a_call),
	    cmocka_unit_test(test_handlers_jump_out_of_a_call),
	    cmocka_unit_test(test_dynamic),
	    cmocka_unit_test(test_static),
	    cmocka_unit_test(test_static_position_independent),
	    cmocka_unit_test(test_musl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
