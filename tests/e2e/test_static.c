/*
 * test_static.c: is a program recorded that loads no library, and is it left as it was?
 *
 * Go programs without cgo, of several toolchains, and C programs linked with -static.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"
#include "tests/soak.h"

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
	assert_null(says(run.err, "not recorded"));
	root = report(trace, NULL);
	check_report(root);
	check_sites(root);
	site = find_site(root, "mmap", "main.grow", 40);
	assert_non_null(site);
	assert_string_equal(outermost(site), "runtime.goexit");
	assert_in_range(go_heap_figure(root, "committed_bytes"), 15 * MIB, 40 * MIB);
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
	assert_non_null(says(bare.out, "TracerPid:\t0\n"));
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
	assert_non_null(says(run.out, "holds 24\n"));
	root = report(trace, NULL);
	check_report(root);
	assert_non_null(find_site(root, "mmap", "main.grow", 40));
	json_decref(root);
	run_free(&run);
}

/* Calls at random, with edges among the arguments: what they answer and do is what it is bare. */
static void
check_any_calls(const char *compiler, const char *flag)
{
	const char *program = scratch_file("any_calls");
	const char *const link[] = {compiler, flag, "-D_GNU_SOURCE", "-I.",
				    "-O1",    "-o", program,	     "tests/target/any_calls.c",
				    NULL};
	static const char *const modes[] = {"maps", "brk"};
	struct run run;

	run_program(&run, link, NULL);
	if (run.exit_status != 0) {
		printf("skip: %s %s does not link it: %.200s\n", compiler, flag, run.err);
		run_free(&run);
		skip();
	}
	run_free(&run);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const char *const argv[] = {program, modes[i], "7", "2000", NULL};
		struct run bare;
		struct run recorded;

		run_program(&bare, argv, NULL);
		record(&recorded, scratch_file("any.vmt"), NULL, argv);
		assert_int_equal(recorded.wait_status, bare.wait_status);
		assert_string_equal(recorded.out, bare.out);
		assert_null(says(recorded.err, "not recorded"));
		run_free(&bare);
		run_free(&recorded);
	}
}

static void
test_any_calls_of_glibc(void **state)
{
	(void)state;
	check_any_calls("gcc", "-static");
}

static void
test_any_calls_of_glibc_position_independent(void **state)
{
	(void)state;
	check_any_calls("gcc", "-static-pie");
}

/* The command is killed at each of its ptrace calls in turn: where the program runs on, no signal
 * is blocked. Of each round one line: the command's status, and what the program said until its
 * end. */
static void
test_a_killed_command_leaves_no_mask(void **state)
{
	static const char script[] =
	    "for when in $(seq 40); do said=$(strace -qq -o /dev/null -e trace=ptrace"
	    " -e inject=ptrace:signal=KILL:when=$when \"$@\"); echo $? $said; done";
	const char *program = scratch_file("mask");
	const char *const link[] = {
	    "gcc", "-static", "-O2", "-o", program, "tests/target/static_mask.c", NULL};
	const char *const argv[] = {
	    "sh", "-c",	   script, "sh", built("vmtrace"), "record", "-o", scratch_file("mask.vmt"),
	    "--", program, NULL};
	unsigned ran_on = 0;
	struct run run;

	(void)state;
	run_program(&run, link, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, "SigBlk:"))
			assert_non_null(strstr(line, " SigBlk: 0000000000000000"));
		ran_on += strcmp(line, "137 SigBlk: 0000000000000000") == 0;
	}
	assert_true(ran_on >= 4);
	run_free(&run);
}

/* Stripped: where its functions begin is known from its tables of frames alone. */
static void
check_life(const char *compiler)
{
	const char *program = scratch_file("life");
	const char *const link[] = {compiler, "-static", "-s",	  "-D_GNU_SOURCE",
				    "-O2",    "-o",	 program, "tests/target/static_life.c",
				    NULL};
	const char *const argv[] = {program, NULL};
	char find[128];
	struct run run;

	snprintf(find, sizeof(find), "command -v %s >/dev/null", compiler);
	run_program(&run, (const char *const[]){"sh", "-c", find, NULL}, NULL);
	if (run.exit_status != 0) {
		printf("skip: no %s\n", compiler);
		run_free(&run);
		skip();
	}
	run_free(&run);
	run_program(&run, link, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	record(&run, scratch_file("life.vmt"), NULL, argv);
	assert_int_equal(run.exit_status, 9);
	assert_string_equal(
	    run.out, "handled 100, child 3, system 1024, held 1, overwritten 0, elsewhere 0\n");
	assert_null(says(run.err, "not recorded"));
	run_free(&run);
}

static void
test_life_of_glibc(void **state)
{
	(void)state;
	check_life("gcc");
}

static void
test_life_of_musl(void **state)
{
	(void)state;
	check_life("musl-gcc");
}

static void
test_stack_of_c(void **state)
{
	const char *trace = scratch_file("successor.vmt");
	const char *const argv[] = {built("tests/target/static_successor"), NULL};
	struct run run;
	json_t *root;
	json_t *site;

	(void)state;
	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 37);
	root = report(trace, NULL);
	check_report(root);
	site = find_site(root, "mmap", "main", 3);
	assert_non_null(site);
	assert_int_equal(number(site, "total_reserved_bytes"), 64 * MIB);
	json_decref(root);
	run_free(&run);
}

/* From the C library through C into Go, and on: no frame between that is none. */
static void
check_cgo(const char *version)
{
	static const char *const linked[] = {"-ldflags=-linkmode=external -extldflags=-static",
					     NULL};
	const char *trace = scratch_file("cgo.vmt");
	const char *const argv[] = {go_program(version, "service", "static", linked), NULL};
	struct run run;
	size_t index;
	size_t seen = 0;
	json_t *root;
	json_t *site;

	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	root = report(trace, NULL);
	json_array_foreach(member(root, "sites"), index, site)
	{
		size_t at;
		json_t *frame;
		bool in_go = false;

		json_array_foreach(member(site, "frames"), at, frame)
		{
			const char *name = json_string_value(json_object_get(frame, "function"));

			if (in_go)
				assert_non_null(name);
			if (name && strcmp(name, "runtime.callCgoMmap") == 0) {
				in_go = true;
				seen++;
			}
		}
	}
	assert_true(seen > 0);
	json_decref(root);
	run_free(&run);
}

/* The static service. Without cgo, as the README's is, in the long form: net/http would be compiled
 * once more. */
static const char *
build_leak(void)
{
	static const char *const linked[] = {"-ldflags=-linkmode=external -extldflags=-static",
					     NULL};

	return soak_count(0, 1) != 0 ? go_program_without_cgo("1.26", "leak", "", NULL)
				     : go_program("1.26", "leak", "static", linked);
}

/* A service that keeps each request's body: the report names the line that does so. */
static void
test_leak_with_go_1_26(void **state)
{
	const char *trace = scratch_file("leak.vmt");
	const char *argv[] = {NULL, "500", NULL};
	struct run run;
	json_t *root;
	json_t *site;
	json_t *frame;
	int64_t line = 0;
	size_t index;

	(void)state;
	go_need("1.26");
	argv[0] = build_leak();
	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(trace, NULL);
	site = find_site(root, "mmap", "main.remember", 40);
	assert_non_null(site);
	json_array_foreach(member(site, "frames"), index, frame)
	{
		const char *name = json_string_value(json_object_get(frame, "function"));

		if (name && strcmp(name, "main.remember") == 0)
			line = number(frame, "line");
	}
	assert_true(line > 0);
	json_decref(root);
}

#define TESTS(id, version)                                                                         \
	TEST(report_of, id, version)                                                               \
	TEST(left, id, version)                                                                    \
	TEST(killed, id, version)                                                                  \
	TEST(filter, id, version)                                                                  \
	TEST(cgo, id, version)
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
		cmocka_unit_test(test_leak_with_go_1_26),
	    cmocka_unit_test(test_any_calls_of_glibc),
	    cmocka_unit_test(test_any_calls_of_glibc_position_independent),
	    cmocka_unit_test(test_a_killed_command_leaves_no_mask),
	    cmocka_unit_test(test_life_of_glibc),
	    cmocka_unit_test(test_life_of_musl),
	    cmocka_unit_test(test_stack_of_c),
	};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
