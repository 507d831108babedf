/*
 * go_programs.h: which Go toolchains does this machine have, and what do they make of tests/go?
 *
 * Toolchains are looked for where Debian's packages lie, installed or unpacked by
 * tests/go/fetch_go. Programs and shared objects are built once for a toolchain, below the build
 * directory, with a build cache of their own there. A test that needs a toolchain skips by its name
 * where it is missing.
 */
#ifndef VMT_GO_PROGRAMS_H
#define VMT_GO_PROGRAMS_H

#include "tests/e2e/harness.h"

#define GO_VERSIONS(X) X(1_19, "1.19") X(1_23, "1.23") X(1_24, "1.24") X(1_26, "1.26")

/* What else format/go_offsets.def has a row of: `tests/go/fetch_go /opt/go-debian more` gets them.
 */
#define GO_MORE_VERSIONS(X) X(1_21, "1.21") X(1_22, "1.22") X(1_25, "1.25") X(1_27, "1.27")

/* For a list of tests, #define TESTS(id, version) TEST(what, id, version) ...: each what has a
 * function check_WHAT(version), and is a test with each toolchain (go_run_tests chooses). */
#define GO_TEST_FUNCTION(what, id, version)                                                        \
	static void test_##what##_with_go_##id(void **state)                                       \
	{                                                                                          \
		(void)state;                                                                       \
		go_need(version);                                                                  \
		check_##what(version);                                                             \
	}
#define GO_TEST_ENTRY(what, id, version) cmocka_unit_test(test_##what##_with_go_##id),

/* Runs a program's tests, as cmocka_run_group_tests does. The fast form takes those with the oldest
 * and the newest of GO_VERSIONS that are installed, and with the versions between only the WHATs of
 * `everywhere` (NULL-terminated, or NULL: none). All are taken in the long form (tests/soak.h), and
 * where VMT_TEST_CASE asks for cases. */
int go_run_tests(const struct CMUnitTest tests[], size_t count, const char *const everywhere[]);

/* Skips the running test where the toolchain is missing. */
void go_need(const char *version);

/* The built program tests/go/NAME; flags: more arguments of `go build`, NULL-terminated, or NULL;
 * label: what tells it from the same program with other flags. Valid for the next eight calls. */
const char *go_program(const char *version, const char *name, const char *label,
		       const char *const flags[]);

/* The same without cgo. */
const char *go_program_without_cgo(const char *version, const char *name, const char *label,
				   const char *const flags[]);

/* Runs the go command; arguments: NULL-terminated, directory: where, below the toolchain's own
 * sources, or NULL: tests/go. */
void go_command(struct run *run, const char *version, const char *directory,
		const char *const arguments[], const char *cgo);

/* A tool that the toolchain brings. Static: valid until the next call. */
const char *go_tool(const char *version, const char *name);

/* `go tool pprof` with arguments, NULL-terminated, in tests/go. Toolchains since 1.25 bring none
 * and would compile it: GO_PPROF's, where it is installed, stands for a later version's but in the
 * long form. */
#define GO_PPROF "1.24"
void go_pprof(struct run *run, const char *version, const char *const arguments[]);

/* The toolchain's own sources of a package. Static: valid until the next call. */
const char *go_sources(const char *version, const char *package);

/* Runs a program with the library alone, no command beside it: the trace's chunks stay as the
 * collector wrote them. argument and variable (NAME=value) may be NULL. */
void go_run(struct run *run, const char *trace, const char *program, const char *argument,
	    const char *variable);

#endif
