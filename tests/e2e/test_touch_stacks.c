/*
 * test_touch_stacks.c: whose code touched fresh memory, on whatever stack it ran?
 *
 * Programs touch memory of which they tell where it lies, and which function did it. Every sampled
 * page fault there has that function in its stack, and the stack goes up to main or to the thread's
 * entry, or ends at the mark that it must end at. In C without frame pointers, C++, Rust and Go.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEW_PAGES 32
#define MANY_PAGES 16384
#define FUNCTION_BYTES 256
#define PAGE_BYTES 4096

struct expected {
	const char *way;
	const char *end;     /* of the stacks */
	const char *toucher; /* the figure that has its address */
	size_t depth;	     /* it is one of so many frames; 0: it is any */
	bool kernel;	     /* a system call touches for it */
	bool reaches_main;
};

static const struct expected c_ways[] = {
    {"plain", "complete", "toucher_at", 2, false, true},
    {"read", "complete", "toucher_at", 4, true, true},
    {"recv", "complete", "toucher_at", 4, true, true},
    {"handler", "complete", "toucher_at", 2, false, true},
    {"other-stack", "cut", "toucher_at", 2, false, false},
    {"thread", "complete", "toucher_at", 2, false, false},
    {"plugin", "complete", "plugin_at", 2, false, true},
    {"jit", "no rules", "made_at", 0, false, false},
    {"deep", "deep", "toucher_at", 2, false, false},
    {NULL, NULL, NULL, 0, false, false},
};

/* Its tables of frames have no index. */
static const struct expected static_ways[] = {
    {"plain", "complete", "toucher_at", 2, false, true},
    {"read", "complete", "toucher_at", 4, true, true},
    {"handler", "complete", "toucher_at", 2, false, true},
    {"thread", "complete", "toucher_at", 2, false, false},
    {"deep", "deep", "toucher_at", 2, false, false},
    {NULL, NULL, NULL, 0, false, false},
};

static const struct expected cxx_ways[] = {
    {"vector", "complete", "toucher_at", 6, false, true},
    {"exception", "complete", "toucher_at", 2, false, true},
    {NULL, NULL, NULL, 0, false, false},
};

static const struct expected rust_ways[] = {
    {"plain", "complete", "toucher_at", 1, false, true},
    {"thread", "complete", "toucher_at", 1, false, true},
    {NULL, NULL, NULL, 0, false, false},
};

/* The goroutine's stack is not the thread's: from C the kernel's chain leads there, where the frame
 * pointer's register was left alone. */
static const struct expected go_ways[] = {
    {"goroutine", "complete", "toucher_at", 1, false, true},
    {"to-c", "complete", "toucher_at", 1, false, true},
    {"to-odd-c", "cut", "toucher_at", 1, false, false},
    {"from-c", "cut", "toucher_at", 1, false, false},
    {NULL, NULL, NULL, 0, false, false},
};

/* What a recording of one way of touching left. */
struct touched {
	json_t *figures; /* that the program told */
	json_t *samples; /* of its memory */
	int64_t lost;
};

static int64_t
address_of(json_t *value)
{
	return (int64_t)strtoull(json_string_value(value), NULL, 16);
}

static bool
is_in(int64_t address, int64_t low, int64_t length)
{
	return address >= low && address < low + length;
}

/* Samples of touches between two addresses; *lost: how many there were that are in no row. */
static json_t *
read_samples(const char *trace, int64_t low, int64_t length, int64_t *lost)
{
	const char *const argv[] = {built("vmtrace"), "dump", "--format", "json",
				    "--stacks",	      trace,  NULL};
	json_t *rows = json_array();
	char *rest;
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	for (char *line = strtok_r(run.out, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *row = json_loads(line, 0, NULL);
		const char *record;

		assert_non_null(row);
		record = json_string_value(member(row, "record"));
		if (strcmp(record, "touch") == 0 &&
		    is_in(address_of(member(row, "address")), low, length))
			json_array_append(rows, row);
		if (strcmp(record, "loss") == 0 && json_object_get(row, "touches_refused") != NULL)
			skip(); /* as a container's filter of system calls does */
		if (strcmp(record, "loss") == 0)
			*lost = number(row, "touches_lost") + number(row, "touches_skipped");
		json_decref(row);
	}
	run_free(&run);
	return rows;
}

/* The program waits until its trace is collected, and touches then. */
static struct touched
record_touches(const char *program, const char *way, int pages, const char *period)
{
	static struct conversation talk;
	const char *trace = scratch_file("stacks.vmt");
	struct touched touched = {.lost = 0};
	char count[16];

	snprintf(count, sizeof(count), "%d", pages);
	const char *const argv[] = {
	    built("vmtrace"), "record", "-o",  trace, "--touch", period, "--",
	    program,	      way,	count, NULL};

	converse_start(&talk, argv, NULL);
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	living_snapshot(trace);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	json_t *truth = json_loads(talk.line, 0, NULL);

	assert_non_null(truth);
	assert_int_equal(WEXITSTATUS(converse_end(&talk)), 0);
	touched.figures = json_incref(member(truth, "figures"));
	json_decref(truth);
	touched.samples = read_samples(trace, number(touched.figures, "memory_at"),
				       number(touched.figures, "memory_bytes"), &touched.lost);
	return touched;
}

static void
touched_free(struct touched *touched)
{
	json_decref(touched->figures);
	json_decref(touched->samples);
}

static bool
has_frame(json_t *sample, int64_t low, size_t depth)
{
	json_t *frame;
	size_t i;

	json_array_foreach(member(sample, "frames"), i, frame)
	{
		if (is_in(address_of(frame), low, FUNCTION_BYTES))
			return depth == 0 || i < depth;
	}
	return false;
}

static bool
is_as_expected(json_t *sample, json_t *figures, const struct expected *expected)
{
	return strcmp(json_string_value(member(sample, "stack_end")), expected->end) == 0 &&
	       json_is_true(member(sample, "kernel")) == expected->kernel &&
	       has_frame(sample, number(figures, expected->toucher), expected->depth) &&
	       has_frame(sample, number(figures, "main_at"), 0) == expected->reaches_main;
}

/* 99 of 100. */
static void
check_way(const char *program, const struct expected *expected, int pages, int period)
{
	char text[16];
	size_t right = 0;
	json_t *sample;
	size_t i;

	snprintf(text, sizeof(text), "%d", period);
	struct touched touched = record_touches(program, expected->way, pages, text);
	size_t count = json_array_size(touched.samples);

	json_array_foreach(touched.samples, i, sample)
	{
		if (is_as_expected(sample, touched.figures, expected))
			right++;
		else
			print_error("%s: %s\n", expected->way, json_dumps(sample, JSON_COMPACT));
	}
	/* Each thread counts from zero on each processor, and Go has several. */
	if ((int64_t)count + touched.lost < pages / period * 3 / 4)
		fail_msg("%s: %zu samples, %lld lost, of %d pages", expected->way, count,
			 (long long)touched.lost, pages);
	assert_true(count >= 8);
	if (right * 100 < count * 99)
		fail_msg("%s: %zu of %zu stacks are right", expected->way, right, count);
	touched_free(&touched);
}

/* How far the kernel's events of page faults are open to this user: 3 and more not at all, 2 but
 * for faults in system calls. */
static int
paranoia(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level = 4;

	if (file == NULL)
		return 4;
	if (fscanf(file, "%d", &level) != 1)
		level = 4;
	fclose(file);
	return geteuid() == 0 ? -1 : level;
}

static void
check_ways(const char *program, const struct expected *ways, int pages, int period)
{
	int level = paranoia();

	if (level > 2)
		skip();
	for (; ways->way != NULL; ways++) {
		if (level < 2 || !ways->kernel)
			check_way(program, ways, pages, period);
	}
}

static void
check_program(const char *path, const struct expected *ways)
{
	char program[4096];

	snprintf(program, sizeof(program), "%s", path);
	check_ways(program, ways, FEW_PAGES, 1);
	check_ways(program, ways, MANY_PAGES, 61);
}

static void
test_c(void **state)
{
	(void)state;
	check_program(built("tests/target/touch_bare"), c_ways);
}

static void
test_static(void **state)
{
	(void)state;
	check_program(built("tests/target/static_touch_bare"), static_ways);
}

static void
test_cxx(void **state)
{
	(void)state;
	check_program(built("tests/target/cxx_touch"), cxx_ways);
}

static void
test_rust(void **state)
{
	const char *program = scratch_file("touch");
	struct run run;

	(void)state;
	run_program(&run,
		    (const char *const[]){"/bin/sh", "-c",
					  "command -v rustc >/dev/null || exit 77; "
					  "rustc -O -o \"$0\" \"$1\" 2>/dev/null || exit 77",
					  program, script_file("touch.rs"), NULL},
		    NULL);
	if (run.exit_status == 77)
		skip();
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	check_program(program, rust_ways);
}

static void
check_go(const char *version)
{
	check_program(go_program(version, "touch", "", NULL), go_ways);
}

#define TESTS(id, version) GO_TEST_FUNCTION(go, id, version)
GO_VERSIONS(TESTS)
#undef TESTS

int
main(void)
{
#define TESTS(id, version) GO_TEST_ENTRY(go, id, version)
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_c), cmocka_unit_test(test_static),
					   cmocka_unit_test(test_cxx), cmocka_unit_test(test_rust),
					   GO_VERSIONS(TESTS)};
#undef TESTS

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
