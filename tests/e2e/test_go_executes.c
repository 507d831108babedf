/*
 * test_go_executes.c: are static programs recorded that a Go program executes?
 *
 * By the runtime's own system calls, in its place and by a child that shares its memory until then:
 * a Go program that loads no library, and one with cgo, which the library is loaded into.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/successors.h"

#include <stdlib.h>
#include <string.h>

static void
check_way(const char *program, const char *way)
{
	static const char failed[] = "no such file or directory no such file or directory\n";
	const char *const argv[] = {program, way, built("tests/target/static_successor"), "0",
				    NULL};
	struct run run;

	record(&run, scratch_file(SUCCESSORS_PATTERN), NULL, argv);
	assert_int_equal(run.exit_status, 37);
	assert_memory_equal(run.out, failed, strlen(failed));
	assert_null(strstr(run.err, "not recorded"));
	successor_check(strtoll(run.out + strlen(failed), NULL, 10));
	run_free(&run);
}

static void
check_static(const char *version)
{
	const char *program = go_program_without_cgo(version, "executes", "static", NULL);

	check_way(program, "exec");
	check_way(program, "fork");
}

static void
check_cgo(const char *version)
{
	const char *program = go_program(version, "executes", "cgo", NULL);

	check_way(program, "exec");
	check_way(program, "fork");
}

/* The library alone, in a shell that executes the Go program. */
static void
check_preloaded(const char *version)
{
	const char *program = go_program_without_cgo(version, "executes", "static", NULL);
	const char *const argv[] = {"sh",    "-c",   "exec \"$0\" \"$@\"",
				    program, "fork", built("tests/target/static_successor"),
				    "0",     NULL};
	struct run run;

	run_program(&run, argv, preloaded(scratch_file(SUCCESSORS_PATTERN)));
	assert_int_equal(run.exit_status, 37);
	assert_string_equal(run.err, "");
	successor_check(strtoll(strchr(run.out, '\n') + 1, NULL, 10));
	run_free(&run);
}

#define TESTS(id, version)                                                                         \
	GO_TEST_FUNCTION(static, id, version)                                                      \
	GO_TEST_FUNCTION(cgo, id, version)                                                         \
	GO_TEST_FUNCTION(preloaded, id, version)
GO_VERSIONS(TESTS)

int
main(void)
{
#define ENTRIES(id, version)                                                                       \
	GO_TEST_ENTRY(static, id, version)                                                         \
	GO_TEST_ENTRY(cgo, id, version)                                                            \
	GO_TEST_ENTRY(preloaded, id, version)
	const struct CMUnitTest tests[] = {GO_VERSIONS(ENTRIES)};

	prefer_system_programs();
	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
