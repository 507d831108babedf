/*
 * test_go_unharmed.c: does a Go program do under the library what it does without it?
 *
 * The tests of Go's own standard library are run with and without it, as are programs built with
 * the race detector and with AddressSanitizer, one that crashes with a core, one whose profile is
 * taken while all of the runtime is at work; and the kernel refuses what the library would like to
 * do. The long form runs more of Go's own tests, and the load for a minute.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether a test's line of `go test -v` says that it ended in this way. */
static bool
ended(const char *out, const char *how, const char *name)
{
	char line[512];
	const char *found;

	snprintf(line, sizeof(line), "\n--- %s: %s (", how, name);
	found = says(out, line);
	return found != NULL || strncmp(out, line + 1, strlen(line) - 1) == 0;
}

struct own {
	const char *version;
	const char *package;
	char binary[4096];
};

static void
run_own(struct run *run, const struct own *own, const char *only, bool traced)
{
	char pattern[600];
	const char *const *variables = preloaded(scratch_file("own.%n.%p.vmt"));
	const char *const argv[] = {"env",
				    "-C",
				    go_sources(own->version, own->package),
				    own->binary,
				    "-test.short",
				    "-test.v",
				    "-test.timeout=280s",
				    only != NULL ? pattern : NULL,
				    NULL};
	const char *const environment[] = {"GODEBUG=netdns=cgo", variables[1],
					   traced ? variables[0] : NULL, NULL};

	snprintf(pattern, sizeof(pattern), "-test.run=^%s$", only);
	run_program(run, argv, environment);
}

/* A test of Go's own that depends on the machine's load may fail once, not twice. */
static void
try_again(const struct own *own, const char *name)
{
	struct run run;

	run_own(&run, own, name, true);
	if (!ended(run.out, "PASS", name))
		fail_msg("%s of Go %s's %s fails under the library:\n%s%s", name, own->version,
			 own->package, run.out, run.err);
	run_free(&run);
}

/* What passed without the library passes with it. */
static size_t
compare_outcomes(const struct own *own, const char *bare, const char *traced)
{
	static const char passed[] = "--- PASS: ";
	size_t count = 0;

	for (const char *at = bare; (at = strstr(at, passed)) != NULL; at++) {
		char name[256];

		if ((at != bare && at[-1] != '\n') ||
		    sscanf(at + strlen(passed), "%255s", name) != 1)
			continue;
		count++;
		if (!ended(traced, "PASS", name))
			try_again(own, name);
	}
	return count;
}

/* The library was in: a trace of the test program itself is there. */
static void
take_traces(const struct own *own)
{
	char wanted[512];
	size_t found = 0;
	glob_t traces;

	snprintf(wanted, sizeof(wanted), "/own.%s.", strrchr(own->binary, '/') + 1);
	assert_int_equal(glob(scratch_file("own.*.vmt"), 0, NULL, &traces), 0);
	for (size_t i = 0; i < traces.gl_pathc; i++) {
		found += strstr(traces.gl_pathv[i], wanted) != NULL;
		unlink(traces.gl_pathv[i]);
	}
	globfree(&traces);
	assert_true(found > 0);
}

static void
check_package(const char *version, const char *package)
{
	struct own own = {.version = version, .package = package};
	const char *const build[] = {"test", "-c", "-ldflags=-linkmode=external", "-o", own.binary,
				     ".",    NULL};
	struct run bare;
	struct run traced;
	size_t count;
	char *slash;

	snprintf(own.binary, sizeof(own.binary), "%s/own-%s-%s", built("tests/go"), version,
		 package);
	while ((slash = strrchr(own.binary, '/')) > strstr(own.binary, "/own-") + 1)
		*slash = '_';
	go_command(&bare, version, go_sources(version, package), build, "CGO_ENABLED=1");
	assert_int_equal(bare.exit_status, 0);
	run_free(&bare);
	run_own(&bare, &own, NULL, false);
	run_own(&traced, &own, NULL, true);
	count = compare_outcomes(&own, bare.out, traced.out);
	if (count == 0)
		fail_msg("no test of %s passed:\n%s%s", package, bare.out, bare.err);
	print_message("Go %s, %s: %zu tests that passed do so under the library\n", version,
		      package, count);
	take_traces(&own);
	run_free(&bare);
	run_free(&traced);
}

static void
check_own_tests(const char *version)
{
	static const char *const packages[] = {"runtime/cgo",
					       "runtime/debug",
					       "runtime/pprof",
					       "runtime/trace",
					       "os/signal",
					       "syscall",
					       "os",
					       "os/exec",
					       "net",
					       "net/http",
					       "runtime"};
	size_t count = (size_t)soak_count(2, sizeof(packages) / sizeof(packages[0]));

	for (size_t i = 0; i < count; i++)
		check_package(version, packages[i]);
}

/* The race detector replaces nothing: recorded, and said where its shadow is. */
static void
check_race(const char *version)
{
	static const char *const flags[] = {"-race", NULL};
	const char *trace = scratch_file("race.vmt");
	json_t *spot;
	bool said = false;
	struct run run;
	size_t i;

	go_run(&run, trace, go_program(version, "service", "race", flags), NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	assert_non_null(says(run.out, "heap_released"));
	run_free(&run);
	json_t *root = report(trace, NULL);

	check_report(root);
	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i, spot) said |=
	    strstr(json_string_value(spot), "race detector") != NULL;
	assert_true(said);
	json_decref(root);
}

/* A sanitizer's program that vmtrace starts runs, unrecorded, with one line about it. */
static void
check_address_sanitizer(const char *version)
{
	static const char *const flags[] = {"-asan", NULL};
	const char *program = go_program(version, "callback", "asan", flags);
	const char *trace = scratch_file("asan.vmt");
	struct run run;

	record(&run, trace, NULL, (const char *const[]){program, NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "done\n");
	assert_non_null(says(run.err, "sanitizer"));
	run_free(&run);
}

/* The lines of `go tool pprof -raw` that name a mapping of the program. */
static size_t
count_mappings(const char *raw, const char *program)
{
	const char *at = strstr(raw, "\nMappings\n");
	size_t count = 0;

	assert_non_null(at);
	while ((at = strstr(at + 1, program)) != NULL)
		count++;
	return count;
}

static void
check_profile(const char *version, const char *program, const char *profile)
{
	struct run run;

	go_pprof(&run, version, (const char *const[]){"-raw", program, profile, NULL});
	assert_non_null(says(run.out, "samples/count"));
	assert_non_null(says(run.out, "main.unit"));
	assert_int_equal(count_mappings(run.out, program), 1);
	run_free(&run);
}

/* All of the runtime at work, preempted by signals, and a profile of it. */
static void
check_load(const char *version)
{
	const char *program = go_program(version, "load", "", NULL);
	const char *profile = scratch_file("cpu.profile");
	const char *trace = scratch_file("load.vmt");
	const char *const *variables = preloaded(trace);
	char variable[4352];
	char seconds[8];
	const char *const argv[] = {program, seconds, NULL};
	const char *const environment[] = {
	    variables[0], variables[1], variable, "GOMAXPROCS=8", "GODEBUG=asyncpreemptoff=0",
	    NULL};
	struct run run;

	snprintf(variable, sizeof(variable), "PROFILE=%s", profile);
	snprintf(seconds, sizeof(seconds), "%ld", soak_count(1, 60));
	run_program(&run, argv, environment);
	assert_string_equal(run.err, "");
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "wrong: 0\n");
	run_free(&run);
	check_profile(version, program, profile);
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	json_decref(root);
}

/* The program text is as the kernel made it, and the report says why. */
static void
check_refused(const char *version, const char *what, const char *words)
{
	const char *program = go_program(version, "service", "", NULL);
	const char *trace = scratch_file("refused.vmt");
	const char *const *variables = preloaded(trace);
	char only[256];
	const char *const argv[] = {built("tests/target/refused"), what, program, NULL};
	const char *const environment[] = {variables[0], variables[1], only, NULL};
	const char *const show[] = {built("vmtrace"), "report", trace, NULL};
	struct run run;

	snprintf(only, sizeof(only), "VMTRACE_ONLY=%s", strrchr(program, '/') + 1);
	unlink(trace);
	run_program(&run, argv, environment);
	if (run.exit_status == 77) {
		run_free(&run);
		printf("skip: this kernel refuses nothing (%s)\n", what);
		skip();
	}
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	run_free(&run);
	setenv("COLUMNS", "1000", 1);
	run_program(&run, show, NULL);
	assert_int_equal(run.exit_status, 0);
	if (says(run.out, words) == NULL)
		fail_msg("'%s' is not in:\n%s", words, run.out);
	run_free(&run);
}

static void
check_no_rewriting(const char *version)
{
	check_refused(version, "rewrite", "the kernel forbids changing program text");
}

static void
check_no_reading(const char *version)
{
	check_refused(version, "read", "the collector was not allowed to read");
}

/* What gdb makes of a core: the frames of the crash, without addresses. */
static char *
frames_of_core(const char *program, const char *core)
{
	const char *const argv[] = {"gdb", "-q", "-batch", "-nx", "-ex", "bt", program, core, NULL};
	char *frames = calloc(1, 65536);
	struct run run;

	assert_non_null(frames);
	run_program(&run, argv, NULL);
	for (char *line = strtok(run.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char function[256];

		if (line[0] == '#' &&
		    (sscanf(line, "#%*d %*s in %255s", function) == 1 ||
		     sscanf(line, "#%*d %255s", function) == 1) &&
		    strlen(frames) < 60000)
			strcat(strcat(frames, function), "\n");
	}
	run_free(&run);
	return frames;
}

static char *
crash(const char *program, const char *place, bool traced)
{
	char script[8192];
	const char *const argv[] = {"sh", "-c", script, NULL};
	const char *const *variables = preloaded(scratch_file("crash.vmt"));
	const char *const environment[] = {"GOTRACEBACK=crash", variables[1],
					   traced ? variables[0] : NULL, NULL};
	struct run run;
	char *frames;

	snprintf(script, sizeof(script),
		 "rm -rf %s && mkdir %s && cd %s && ulimit -c unlimited && exec \"%s\" 2>told",
		 place, place, place, program);
	run_program(&run, argv, environment);
	assert_true(WIFSIGNALED(run.wait_status));
	assert_int_equal(WTERMSIG(run.wait_status), SIGABRT);
	run_free(&run);
	snprintf(script, sizeof(script), "%s/core", place);
	frames = frames_of_core(program, script);
	return frames;
}

/* The same end, and a core in which a debugger finds the same frames. */
static void
check_core(const char *version)
{
	const char *program = go_program(version, "crash", "", NULL);
	char *bare;
	char *traced;

	if (system("test \"$(cat /proc/sys/kernel/core_pattern)\" = core && "
		   "test \"$(cat /proc/sys/kernel/core_uses_pid)\" = 0 && command -v gdb "
		   ">/dev/null") != 0) {
		printf("skip: cores need gdb, and core_pattern 'core'\n");
		skip();
	}
	bare = crash(program, scratch_file("bare"), false);
	traced = crash(program, scratch_file("traced"), true);
	assert_non_null(strstr(bare, "main.fall\nmain.main\n"));
	assert_string_equal(traced, bare);
	free(bare);
	free(traced);
}

#define TESTS(id, version)                                                                         \
	TEST(own_tests, id, version)                                                               \
	TEST(load, id, version)                                                                    \
	TEST(no_rewriting, id, version)                                                            \
	TEST(no_reading, id, version)                                                              \
	TEST(core, id, version)

#define TEST GO_TEST_FUNCTION
GO_VERSIONS(TESTS)
#undef TEST

/* The newest exports nothing of its ThreadSanitizer. The long form has the oldest too, which
 * exports it: another standard library would be compiled for that. */
static void
test_race(void **state)
{
	(void)state;
	go_need("1.26");
	check_race("1.26");
	if (soak_count(0, 1) == 0)
		return;
	go_need("1.19");
	check_race("1.19");
}

static void
test_address_sanitizer(void **state)
{
	(void)state;
	go_need("1.19");
	check_address_sanitizer("1.19");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_race),
						  cmocka_unit_test(test_address_sanitizer),
#define TEST GO_TEST_ENTRY
						  GO_VERSIONS(TESTS)
#undef TEST
	};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
