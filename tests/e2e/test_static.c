/*
 * test_static.c: is a program recorded that loads no library, and is it left as it was?
 *
 * Go programs without cgo, of every toolchain that is there.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

static const char *
alone(const char *version)
{
	static const char *const stripped[] = {"-ldflags=-s -w", NULL};

	return go_program_without_cgo(version, "alone", "stripped", stripped);
}

/* The outermost function of the site's stack. */
static const char *
outermost(json_t *site)
{
	json_t *frames = member(site, "frames");
	size_t count = json_array_size(frames);

	assert_true(count > 0);
	return json_string_value(member(json_array_get(frames, count - 1), "function"));
}

static void
check_sites(json_t *root)
{
	json_t *sites = member(member(root, "coverage"), "go_sites");
	size_t index;
	json_t *site;

	assert_int_equal(json_array_size(sites), 5);
	json_array_foreach(sites, index, site) assert_true(json_is_true(member(site, "patched")));
}

static void
check_report_of(const char *version)
{
	const char *trace = scratch_file("alone.vmt");
	const char *const argv[] = {go_program_without_cgo(version, "alone", "", NULL), "look",
				    NULL};
	struct run run;
	json_t *root;
	json_t *site;

	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	assert_null(strstr(run.err, "not recorded"));
	root = report(trace, NULL);
	check_report(root);
	check_sites(root);
	site = find_site(root, "mmap", "main.grow", 40);
	assert_non_null(site);
	assert_string_equal(outermost(site), "runtime.goexit");
	assert_in_range(class_committed(root, "Go heap"), 15 * MIB, 40 * MIB);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	assert_int_equal(number(member(root, "loss"), "events_missing"), 0);
	json_decref(root);
	run_free(&run);
}

/* What the kernel says of it, descriptors and mappings, as without a recorder. */
static void
check_left(const char *version)
{
	const char *const argv[] = {alone(version), "look", NULL};
	struct run bare;
	struct run recorded;

	run_program(&bare, argv, NULL);
	record(&recorded, scratch_file("left.vmt"), NULL, argv);
	assert_int_equal(bare.exit_status, 0);
	assert_int_equal(recorded.exit_status, 0);
	assert_non_null(strstr(bare.out, "TracerPid:\t0\n"));
	assert_string_equal(recorded.out, bare.out);
	run_free(&bare);
	run_free(&recorded);
}

/* The collector is the command: when it is killed the program goes on. */
static void
check_killed(const char *version)
{
	const char *trace = scratch_file("killed.vmt");
	const char *const argv[] = {built("vmtrace"), "record", "-o", trace, "--",
				    alone(version),   "wait",	NULL};
	struct conversation talk;
	json_t *root;

	converse_start(&talk, argv, NULL);
	converse_read_line(&talk);
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	assert_int_equal(waitpid(talk.pid, NULL, 0), talk.pid);
	dprintf(talk.to, "go on\n");
	converse_read_line(&talk);
	assert_string_equal(talk.line, "holds 24");
	assert_int_equal(read(talk.from, talk.line, 1), 0);
	close(talk.to);
	close(talk.from);
	root = report(trace, NULL);
	check_report(root);
	json_decref(root);
}

/* It forbids itself what its recorder would do, under pain of death. */
static void
check_filter(const char *version)
{
	const char *trace = scratch_file("filter.vmt");
	const char *const argv[] = {alone(version), "filter", NULL};
	struct run run;
	json_t *root;

	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "holds 24\n"));
	root = report(trace, NULL);
	check_report(root);
	assert_non_null(find_site(root, "mmap", "main.grow", 40));
	json_decref(root);
	run_free(&run);
}

#define TESTS(id, version)                                                                         \
	TEST(report_of, id, version)                                                               \
	TEST(left, id, version)                                                                    \
	TEST(killed, id, version)                                                                  \
	TEST(filter, id, version)
#define TEST GO_TEST_FUNCTION
GO_VERSIONS(TESTS)
#undef TEST

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST GO_TEST_ENTRY
	    GO_VERSIONS(TESTS)
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
