/*
 * test_calls.c: does every memory call answer and do the same, bare and under the library?
 *
 * The calls of tests/target/any_calls are made bare, and in the same order under the library in
 * every malloc mode: results, errno, mappings and contents must not differ. 100,000 calls in
 * `check`, 10 million in `soak`; the first that differs is printed.
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 1000
#define MOST_CALLS 250000 /* in one process: it ends well within the harness's limit */

static const char *const modes[] = {"off", "sampled", "all"};

struct calls {
	const char *family;
	long seed;
	long count;
};

/* How many there were. */
static size_t
remove_traces(void)
{
	glob_t found;
	size_t count;

	glob(scratch_file("calls.*.vmt"), 0, NULL, &found);
	count = found.gl_pathc;
	for (size_t i = 0; i < count; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
	return count;
}

/* mode NULL: bare. Prints calls [first, first + BLOCK) one by one where first >= 0. */
static void
make_calls(struct run *run, const struct calls *calls, const char *mode, long first)
{
	char numbers[4][24];
	const char *argv[] = {
	    built("tests/target/any_calls"), calls->family, numbers[0], numbers[1],
	    first >= 0 ? numbers[2] : NULL,  numbers[3],    NULL};
	const char *environment[] = {NULL, NULL, NULL, NULL};

	snprintf(numbers[0], sizeof(numbers[0]), "%ld", calls->seed);
	snprintf(numbers[1], sizeof(numbers[1]), "%ld", first >= 0 ? first + BLOCK : calls->count);
	snprintf(numbers[2], sizeof(numbers[2]), "%ld", first);
	snprintf(numbers[3], sizeof(numbers[3]), "%ld", first + BLOCK - 1);
	if (mode != NULL) {
		environment[0] = variable("LD_PRELOAD", built("libvmtrace.so"));
		environment[1] = variable("VMTRACE_MALLOC", mode);
		environment[2] = variable("VMTRACE_OUTPUT", scratch_file("calls.%p.vmt"));
	}
	run_program(run, argv, environment);
	assert_int_equal(remove_traces() != 0, mode != NULL);
}

/* The first line in which two outputs differ; its number in *line. NULL: none. */
static const char *
first_difference(const char *bare, const char *ours, long *line)
{
	const char *begin = ours;

	*line = 0;
	for (; *bare == *ours && *bare != '\0'; bare++, ours++) {
		if (*ours == '\n') {
			begin = ours + 1;
			++*line;
		}
	}
	return *bare == *ours ? NULL : begin;
}

/* Makes the calls of the block that differs again, and prints the first that does. */
static void
fail_with_call(const struct calls *calls, const char *mode, long block)
{
	struct run bare;
	struct run ours;
	const char *text;
	long line;

	make_calls(&bare, calls, NULL, block * BLOCK);
	make_calls(&ours, calls, mode, block * BLOCK);
	text = first_difference(bare.out, ours.out, &line);
	fail_msg("%s, seed %ld, mode %s, block %ld: under the library %.*s", calls->family,
		 calls->seed, mode, block, text ? (int)strcspn(text, "\n") : 24,
		 text ? text : "what the calls did");
}

static void
compare(const struct calls *calls)
{
	struct run bare;

	make_calls(&bare, calls, NULL, -1);
	assert_int_equal(bare.exit_status, 0);
	for (size_t mode = 0; mode < sizeof(modes) / sizeof(modes[0]); mode++) {
		struct run ours;
		long line;

		make_calls(&ours, calls, modes[mode], -1);
		if (first_difference(bare.out, ours.out, &line) != NULL)
			fail_with_call(calls, modes[mode], line);
		assert_int_equal(line, calls->count / BLOCK);
		assert_int_equal(ours.exit_status, 0);
		run_free(&ours);
	}
	run_free(&bare);
}

/* In processes of their own, each with another seed. Counted are the calls under the library. */
static void
compare_many(const char *family, long total)
{
	const char *seed = getenv("VMT_SEED");
	struct calls calls = {family, seed != NULL ? strtol(seed, NULL, 10) : 1, total / 3};

	for (; calls.count > MOST_CALLS; calls.count -= MOST_CALLS, calls.seed++)
		compare(&(struct calls){family, calls.seed, MOST_CALLS});
	calls.count = calls.count / BLOCK * BLOCK;
	compare(&calls);
}

static void
test_maps(void **state)
{
	(void)state;
	compare_many("maps", soak_count(75000, 7500000));
}

static void
test_brk(void **state)
{
	(void)state;
	compare_many("brk", soak_count(12000, 1200000));
}

static void
test_heap(void **state)
{
	(void)state;
	compare_many("heap", soak_count(15000, 1500000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_maps),
	    cmocka_unit_test(test_brk),
	    cmocka_unit_test(test_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
