/*
 * test_limits.c: does a program get from its limits what it gets without the library?
 *
 * Programs that take all that RLIMIT_AS or RLIMIT_DATA leaves them, bare and recorded: the tracer's
 * own mappings must not be what they run out of. What remains is the library's own segments and
 * what stands beside them, SEGMENTS_KIB at most: the recorded program may get less by that and by
 * no more. mlockall locks the program's memory, and none of the tracer's. The trace says that the
 * recording was given up, and for want of what.
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENTS_KIB 2048
#define RESERVED_KIB 6144 /* what the library may map at the beginning, its segments apart */

/* What the program printed. */
struct outcome {
	long pieces;
	char rest[128]; /* of the lines after */
};

static struct outcome
outcome_of(const char *script, const char *first, const char *second)
{
	const char *argv[] = {"sh", "-c", script, "sh", first, second, built("tests/target/fill"),
			      NULL};
	struct outcome outcome = {.pieces = -1};
	struct run run;
	int used = 0;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s %s: status %d: %s", first, second, run.wait_status, run.err);
	if (sscanf(run.out, "pieces %ld\n%n", &outcome.pieces, &used) != 1)
		fail_msg("%s %s: said '%s' and '%s'", first, second, run.out, run.err);
	snprintf(outcome.rest, sizeof(outcome.rest), "%s", run.out + used);
	run_free(&run);
	return outcome;
}

/* `letter` is the shell's for the limit. */
static struct outcome
fill_bare(char letter, long kib, const char *threads_and_piece)
{
	char script[256];
	char limit[32];

	snprintf(limit, sizeof(limit), "%ld", kib);
	snprintf(script, sizeof(script),
		 "ulimit -S -%c $1; export MALLOC_ARENA_MAX=1; exec \"$3\" $2", letter);
	return outcome_of(script, limit, threads_and_piece);
}

static struct outcome
fill_recorded(char letter, long kib, const char *threads_and_piece, const char *trace)
{
	char script[1024];
	char limit[32];

	snprintf(limit, sizeof(limit), "%ld", kib);
	snprintf(
	    script, sizeof(script),
	    "ulimit -S -%c $1; export MALLOC_ARENA_MAX=1; exec '%s' record -o '%s' -- \"$3\" $2",
	    letter, built("vmtrace"), trace);
	return outcome_of(script, limit, threads_and_piece);
}

static void
check_stopped(const char *trace, const char *shortage)
{
	json_t *found = report(trace, NULL);
	json_t *process = member(found, "process");

	assert_string_equal(json_string_value(member(process, "end")), "exit");
	assert_int_equal(number(process, "end_status"), 0);
	assert_string_equal(json_string_value(member(process, "shortage")), shortage);
	assert_true(number(member(found, "loss"), "events") > 0);
	json_decref(found);
}

/* Bare and recorded under one limit, in pieces of piece_kib. */
static void
compare(char letter, long kib, int threads, long piece_kib, const char *shortage)
{
	const char *trace = scratch_file("filled.vmt");
	char arguments[64];
	struct outcome bare, recorded;

	snprintf(arguments, sizeof(arguments), "%d %ld", threads, piece_kib);
	bare = fill_bare(letter, kib, arguments);
	recorded = fill_recorded(letter, kib, arguments, trace);
	/* Threads are refused what glibc takes for another one for a moment, bare as well: up to
	 * 128 MiB for the heap of an arena. */
	long band = SEGMENTS_KIB / piece_kib + 1 + (threads > 1 ? 131072 / piece_kib : 0);

	if (recorded.pieces < bare.pieces - band || recorded.pieces > bare.pieces + band)
		fail_msg("-%c %ld, %s: %ld pieces bare, %ld recorded", letter, kib, arguments,
			 bare.pieces, recorded.pieces);
	assert_string_equal(recorded.rest, bare.rest);
	check_stopped(trace, shortage);
	unlink(trace);
}

static void
address_space_is_the_programs(void **state)
{
	static const long limits_kib[] = {40000, 60000, 150000};

	(void)state;
	for (size_t i = 0; i < sizeof(limits_kib) / sizeof(limits_kib[0]); i++)
		compare('v', limits_kib[i], 1, 512, "address space (RLIMIT_AS)");
}

static void
private_memory_is_the_programs(void **state)
{
	(void)state;
	/* Pieces of less than what is ours and counts there, some 340 KiB: each gets room by it. */
	compare('d', 30000, 1, 64, "private memory (RLIMIT_DATA)");
	compare('d', 100000, 1, 64, "private memory (RLIMIT_DATA)");
}

/* The trace is unmapped under threads that call hooks all the time. */
static void
threads_that_run_out_at_once_are_unharmed(void **state)
{
	long rounds = soak_count(5, 200);

	(void)state;
	for (long i = 0; i < rounds; i++)
		compare('v', 700000 + i * 1000, 8, 512, "address space (RLIMIT_AS)");
}

/* As whoever has no leave to lock more than the limit, where this process has. */
static void
lock_all(struct run *run, const char *limit_kib, const char *flags, const char *way, bool preload)
{
	char script[1024];
	const char *argv[] = {"sh", "-c", script, "sh", limit_kib, flags, way, NULL};

	snprintf(script, sizeof(script), "[ \"$1\" = unlimited ] || ulimit -l $1; %s %s '%s' $2 $3",
		 preload ? "VMTRACE_OUTPUT=\"$PWD/locked.vmt\" LD_PRELOAD=\"$OURS\"" : "",
		 geteuid() == 0 && strcmp(limit_kib, "unlimited") != 0
		     ? "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "
		       "--bounding-set=-all"
		     : "",
		 built_for_others("tests/target/lock_all"));
	run_program(
	    run, argv,
	    (const char *const[]){variable("OURS", built_for_others("libvmtrace.so")), NULL});
}

static void
compare_lock_all(const char *limit_kib, const char *flags, const char *way)
{
	struct run bare, recorded;

	lock_all(&bare, limit_kib, flags, way, false);
	lock_all(&recorded, limit_kib, flags, way, true);
	assert_int_equal(bare.exit_status, 0);
	assert_int_equal(recorded.wait_status, bare.wait_status);
	if (strcmp(recorded.out, bare.out) != 0 || strcmp(recorded.err, bare.err) != 0)
		fail_msg("mlockall %s %s under %s: bare\n%s%srecorded\n%s%s", flags, way, limit_kib,
			 bare.out, bare.err, recorded.out, recorded.err);
	run_free(&bare);
	run_free(&recorded);
}

/* To the byte: nothing of ours is locked, and nothing refused for our sake. */
static void
mlockall_locks_what_is_the_programs(void **state)
{
	static const char *const limits_kib[] = {"0", "64", "5500", "8192", "unlimited"};
	static const char *const flags[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};

	(void)state;
	assert_int_equal(chdir(scratch()), 0);
	assert_int_equal(chmod(scratch(), 0777), 0);
	for (size_t i = 0; i < sizeof(limits_kib) / sizeof(limits_kib[0]); i++)
		for (size_t j = 0; j < sizeof(flags) / sizeof(flags[0]); j++)
			compare_lock_all(limits_kib[i], flags[j], "");
	compare_lock_all("5500", "3", "syscall");
}

/* A trace that a limit of file size forbids: nothing is recorded, and what is mapped of ours is not
 * the program's to pay for. */
static void
without_a_trace_nothing_is_refused_either(void **state)
{
	const char *argv[] = {"sh",
			      "-c",
			      "ulimit -f 100; LD_PRELOAD=$OURS exec \"$1\" 3",
			      "sh",
			      built("tests/target/lock_all"),
			      NULL};
	struct run run;

	(void)state;
	assert_int_equal(chdir(scratch()), 0);
	run_program(&run, argv,
		    (const char *const[]){variable("OURS", built("libvmtrace.so")), NULL});
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.err, "vmtrace: not recording"));
	struct run bare;

	run_program(&bare, (const char *[]){built("tests/target/lock_all"), "3", NULL}, NULL);
	assert_string_equal(run.out, bare.out);
	run_free(&bare);
	run_free(&run);
}

static long
virtual_kib(bool preload)
{
	const char *argv[] = {"sh", "-c", "exec grep VmSize /proc/self/status", NULL};
	struct run run;
	long kib = -1;

	run_program(&run, argv, preload ? preloaded(scratch_file("size.vmt")) : NULL);
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(sscanf(run.out, "VmSize: %ld", &kib), 1);
	run_free(&run);
	return kib;
}

static void
little_is_reserved_without_a_limit(void **state)
{
	long bare_kib = virtual_kib(false);
	long preloaded_kib = virtual_kib(true);

	(void)state;
	assert_true(preloaded_kib > bare_kib);
	if (preloaded_kib - bare_kib > RESERVED_KIB + SEGMENTS_KIB)
		fail_msg("VmSize %ld KiB, bare %ld", preloaded_kib, bare_kib);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(address_space_is_the_programs),
	    cmocka_unit_test(private_memory_is_the_programs),
	    cmocka_unit_test(threads_that_run_out_at_once_are_unharmed),
	    cmocka_unit_test(mlockall_locks_what_is_the_programs),
	    cmocka_unit_test(without_a_trace_nothing_is_refused_either),
	    cmocka_unit_test(little_is_reserved_without_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
