/*
 * test_exec.c: does the trace of an image that execs end there?
 *
 * A program goes on as others that are not recorded, in every way there is to do so. They touch
 * 64 MiB and end with a status of their own, at once or after a while: neither may stand in the
 * trace of the program before, and an exec that fails ends nothing. Under the bare library, where
 * the collector comes late, and under record.
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define SUCCESSOR_STATUS 37
#define TIMES 6

enum host { BARE, RECORD, HOSTS };

struct kind {
	const char *how;
	const char *end; /* of the trace; NULL: exec, or not known */
	int64_t status;
	int exit_status; /* as the caller sees it */
};

static const struct kind kinds[] = {
    {"plain", "exec", 0, SUCCESSOR_STATUS},
    {"unset", "exec", 0, SUCCESSOR_STATUS},
    {"syscall", "exec", 0, SUCCESSOR_STATUS},
    {"raw", NULL, 0, SUCCESSOR_STATUS},
    {"thread", "exec", 0, SUCCESSOR_STATUS},
    {"shared", "exec", 0, SUCCESSOR_STATUS},
    {"failed", "exit", 5, 5},
    {"vfork", "exit", 7, 7},
    {"spawn", "exit", 7, 7},
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

/* A report once nobody writes the trace any more. */
static json_t *
final_report(const char *trace)
{
	int64_t deadline = now_ms() + 30000;

	for (;;) {
		json_t *root = report(trace, NULL);
		const char *end = json_string_value(member(member(root, "process"), "end"));

		if (strcmp(end, "running") != 0 && strcmp(end, "ending") != 0)
			return root;
		if (now_ms() >= deadline)
			fail_msg("%s: still %s", trace, end);
		json_decref(root);
		poll(NULL, 0, 5);
	}
}

static void
check_trace(const char *trace, const struct kind *kind)
{
	json_t *root = final_report(trace);
	json_t *process = member(root, "process");
	const char *end = json_string_value(member(process, "end"));
	const char *wanted = kind->end;

	if (wanted == NULL)
		wanted = strcmp(end, "exec") == 0 ? "exec" : "cut";
	if (strcmp(end, wanted) != 0)
		fail_msg("%s: %s ended by %s", trace, kind->how, end);
	if (strcmp(wanted, "exit") == 0)
		assert_int_equal(number(process, "end_status"), kind->status);
	if (peak_rss(root) > 32 * MIB)
		fail_msg("%s: %s has %lld bytes of its successor", trace, kind->how,
			 (long long)peak_rss(root));
	check_report(root);
	json_decref(root);
}

static void
run_once(const struct kind *kind, enum host host, const char *ms)
{
	const char *const *pre = preloaded(scratch_file("exec.vmt"));
	const char *const argv[] = {built("tests/target/exec_kinds"), kind->how,
				    built("tests/target/static_successor"), ms, NULL};
	struct run run;

	unlink(scratch_file("exec.vmt"));
	if (host == RECORD)
		record(&run, scratch_file("exec.vmt"), NULL, argv);
	else
		run_program(&run, argv, pre);
	if (run.exit_status != kind->exit_status)
		fail_msg("%s: wait status %x: %s", kind->how, (unsigned)run.wait_status, run.err);
	run_free(&run);
	check_trace(scratch_file("exec.vmt"), kind);
}

static void
test_successors(void **state)
{
	(void)state;
	for (long i = soak_count(TIMES, 1000); i > 0; i--)
		for (size_t k = 0; k < KINDS; k++)
			run_once(&kinds[k], i % HOSTS, i % 4 < HOSTS ? "0" : "60");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_successors),
	};

	prefer_system_programs();
	return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
