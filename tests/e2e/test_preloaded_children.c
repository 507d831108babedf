/*
 * test_preloaded_children.c: are programs recorded that load no library, and that a preloaded one
 * executes?
 *
 * Under LD_PRELOAD alone: the collector puts the recorder into them. Whatever becomes of it, they
 * run as they would.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"
#include "tests/e2e/successors.h"

#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUCCESSOR built("tests/target/static_successor")
#define ENVIRONMENT_MOST 8
#define TRACE_CALL "101" /* ptrace */
#define LINE                                                                                       \
	"vmtrace: a program that loads no library is not recorded: it may not be traced, or the "  \
	"recorder could not be put there in time\n"

/* The library's variables, and others. Static: until the next call. */
static const char *const *
environment_with(const char *const others[])
{
	static const char *all[ENVIRONMENT_MOST];
	const char *const *library = preloaded(scratch_file(SUCCESSORS_PATTERN));
	size_t count = 0;

	for (size_t i = 0; library[i]; i++)
		all[count++] = library[i];
	for (size_t i = 0; others && others[i]; i++)
		all[count++] = others[i];
	assert_true(count < ENVIRONMENT_MOST);
	all[count] = NULL;
	return all;
}

/* A shell's script, whose $1 is a program. */
static void
run_script(struct run *run, const char *const others[], const char *script, const char *program)
{
	const char *const argv[] = {"sh", "-c", script, "sh", program, NULL};

	run_program(run, argv, environment_with(others));
}

/* By a child, and in the shell's own place. */
static void
test_recorded(void **state)
{
	struct run run;
	int64_t child;
	char *rest;

	(void)state;
	run_script(&run, NULL,
		   "\"$1\" 0 & echo $!; wait $!; [ $? = 37 ] || exit 1; echo $$; exec \"$1\" 0",
		   SUCCESSOR);
	assert_int_equal(run.exit_status, 37);
	assert_string_equal(run.err, "");
	child = strtoll(run.out, &rest, 10);
	successor_check(child);
	successor_check(strtoll(rest, NULL, 10));
	run_free(&run);
}

/* Before the collector has begun. */
static void
test_at_once(void **state)
{
	struct run run;

	(void)state;
	run_script(&run, NULL, "echo $$; exec \"$1\" 0", SUCCESSOR);
	assert_int_equal(run.exit_status, 37);
	successor_check(strtoll(run.out, NULL, 10));
	run_free(&run);
}

/* What runs a script is a program, too. */
static void
test_script(void **state)
{
	const char *script = scratch_file("script");
	FILE *file = fopen(script, "w");
	struct run run;

	(void)state;
	assert_non_null(file);
	fprintf(file, "#!%s 0\n", SUCCESSOR);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(script, 0755), 0);
	run_script(&run, NULL, "\"$1\" & echo $!; wait $!", script);
	assert_int_equal(run.exit_status, 37);
	successor_check(strtoll(run.out, NULL, 10));
	run_free(&run);
}

/* One of them executes the next, in its place and by a child. */
static void
test_by_static(void **state)
{
	static const char *const ways[] = {"exec", "vfork"};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const char *const argv[] = {"sh",
					    "-c",
					    "exec \"$0\" \"$@\"",
					    built("tests/target/static_executes"),
					    ways[i],
					    SUCCESSOR,
					    "0",
					    NULL};
		struct run run;
		char *rest = NULL;

		run_program(&run, argv, environment_with(NULL));
		assert_int_equal(run.exit_status, 37);
		if (strcmp(ways[i], "vfork") == 0)
			(void)strtoll(run.out, &rest, 10);
		successor_check(strtoll(rest ? rest : run.out, NULL, 10));
		run_free(&run);
	}
}

/* The program is process 1 of its pid namespace: the collector is a copy of it. */
static void
test_first_process(void **state)
{
	const char *const argv[] = {"unshare", "-pf",		"--mount-proc", "sh",
				    "-c",      "exec \"$0\" 0", SUCCESSOR,	NULL};
	struct run run;

	(void)state;
	if (geteuid() != 0)
		skip();
	run_program(&run, argv,
		    environment_with((const char *const[]){"VMTRACE_ONLY=dash:sh:bash:"
							   "static_successor",
							   NULL}));
	assert_int_equal(run.exit_status, 37);
	successor_check(1);
	run_free(&run);
}

/* The shell is recorded, but not the child that the script starts. */
static void
check_left_out(const char *setting, const char *script)
{
	struct run run;
	int64_t child;
	char *rest;

	run_script(&run, (const char *const[]){setting, NULL}, script, SUCCESSOR);
	assert_int_equal(run.exit_status, 37);
	assert_string_equal(run.err, "");
	assert_true(successor_has_trace(strtoll(run.out, &rest, 10)));
	child = strtoll(rest, NULL, 10);
	assert_true(child > 0);
	assert_false(successor_is_recorded(child));
	run_free(&run);
}

static void
test_left_out(void **state)
{
	static const char child[] = "echo $$; \"$1\" 0 & echo $!; wait $!";
	static const char bare[] = "echo $$; env -i \"$1\" 0 & echo $!; wait $!";

	(void)state;
	check_left_out("VMTRACE_FOLLOW=none", child);
	check_left_out("VMTRACE_FOLLOW=fork", child);
	check_left_out("VMTRACE_ONLY=sh:dash:bash", child);
	check_left_out("VMTRACE_FOLLOW=all", bare);
}

/* What the kernel refuses it refuses with the same error, whatever the pointers. */
static void
test_refused_exec(void **state)
{
	const char *const argv[] = {built("tests/target/bad_exec"), SUCCESSOR, NULL};
	struct run bare;
	struct run run;

	(void)state;
	run_program(&bare, argv, NULL);
	assert_int_equal(bare.exit_status, 5);
	run_program(&run, argv, environment_with(NULL));
	assert_int_equal(run.exit_status, 5);
	assert_string_equal(run.out, bare.out);
	assert_string_equal(run.err, bare.err);
	run_free(&run);
	run_free(&bare);
}

/* Who was seized for an exec that fails is let go: no call of its ends by that. */
static void
test_failed_exec(void **state)
{
	const char *program = scratch_file("kept");
	const char *const copy[] = {"cp", SUCCESSOR, program, NULL};
	const char *const argv[] = {built("tests/target/failed_exec_waits"), program, NULL};
	struct run run;

	(void)state;
	run_program(&run, copy, NULL);
	run_free(&run);
	assert_int_equal(chmod(program, 0644), 0);
	run_program(&run, argv, environment_with(NULL));
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static bool
has_blind_spot(json_t *root, const char *words)
{
	json_t *spots = member(member(root, "coverage"), "blind_spots");
	size_t i;
	json_t *spot;

	json_array_foreach(spots, i, spot) if (strstr(json_string_value(spot), words)) return true;
	return false;
}

/* The name that is spawned leads to another file where the child goes: to one that loads the
 * library. */
static void
test_moved(void **state)
{
	static const char script[] =
	    "d=$2; mkdir -p \"$d/there\" && rm -f \"$d\"/../child.*.vmt && "
	    "cp \"$1\" \"$d/program\" && "
	    "cp /bin/true \"$d/there/program\"";
	char *directory = strdup(scratch_file("moved"));
	const char *const prepare[] = {"sh", "-c", script, "sh", SUCCESSOR, directory, NULL};
	const char *const argv[] = {"env",   "-C",    directory, built("tests/target/exec_kinds"),
				    "moved", "there", NULL};
	glob_t traces;
	struct run run;

	(void)state;
	run_program(&run, prepare, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_program(
	    &run, argv,
	    environment_with((const char *const[]){"VMTRACE_ONLY=exec_kinds:program", NULL}));
	assert_int_equal(run.exit_status, 7);
	assert_string_equal(run.err, "");
	run_free(&run);
	assert_int_equal(glob(scratch_file("child.*.vmt"), 0, NULL, &traces), 0);
	assert_int_equal(traces.gl_pathc, 2);
	for (size_t i = 0; i < traces.gl_pathc; i++) {
		json_t *root = report(traces.gl_pathv[i], NULL);

		assert_false(has_blind_spot(root, "programs that load no library, executed"));
		json_decref(root);
	}
	globfree(&traces);
	free(directory);
}

/* Where it may not be traced, twice: both run, and the shell's report says of both. `way` executes
 * the rest. */
static void
check_untraceable(const char *const way[], const char *said)
{
	static const char script[] =
	    "echo $$; \"$1\" 0 & echo $!; wait $!; [ $? = 37 ] || exit 1; \"$1\" 0; exit $?";
	const char *const rest[] = {"/bin/sh", "-c", script, "sh", SUCCESSOR, NULL};
	const char *argv[24];
	size_t count = 0;
	struct run run;
	json_t *root;
	char *next;
	int64_t shell;

	for (; way[count]; count++)
		argv[count] = way[count];
	memcpy(argv + count, rest, sizeof(rest));
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 37);
	assert_string_equal(run.err, said);
	shell = strtoll(run.out, &next, 10);
	assert_false(successor_is_recorded(strtoll(next, NULL, 10)));
	root = report_of_pid(scratch_file("child.*.vmt"), shell);
	assert_true(has_blind_spot(root, "programs that load no library, executed in this tree and "
					 "not recorded: 2."));
	json_decref(root);
	run_free(&run);
}

/* By a filter, under which nothing is said, and by one that kills. */
static void
check_filtered(const char *program, const char *argument)
{
	const char *const *library = environment_with(NULL);

	check_untraceable((const char *const[]){built(program), argument, "/usr/bin/env",
						library[0], library[1], NULL},
			  "");
}

/* Another traces it already. */
static void
check_traced(void)
{
	const char *const *library = environment_with(NULL);

	check_untraceable((const char *const[]){"strace", "-f", "-e", "trace=none", "-o",
						"/dev/null", "-E", library[0], "-E", library[1],
						NULL},
			  LINE);
}

static void
test_untraceable(void **state)
{
	(void)state;
	check_filtered("tests/target/refused", "trace");
	check_filtered("tests/target/without_call", TRACE_CALL);
	check_traced();
}

/* More at once than have room for their numbers: the report says how many all the same. The filter
 * kills who would put the recorder there, so nobody is waited for. */
static void
test_many_untraceable(void **state)
{
	static const char script[] =
	    "echo $$; i=0; while [ $i -lt 100 ]; do \"$1\"; i=$((i + 1)); done";
	const char *const *library = environment_with(NULL);
	const char *const argv[] = {built("tests/target/without_call"),
				    TRACE_CALL,
				    "/usr/bin/env",
				    library[0],
				    library[1],
				    "/bin/sh",
				    "-c",
				    script,
				    "sh",
				    built("tests/target/static_executes"),
				    NULL};
	struct run run;
	json_t *root;

	(void)state;
	run_program(&run, argv, NULL);
	root = report_of_pid(scratch_file("child.*.vmt"), strtoll(run.out, NULL, 10));
	assert_true(has_blind_spot(root, "executed in this tree and not recorded: 100."));
	json_decref(root);
	run_free(&run);
}

/* The collector stands still, and is killed while the shell waits for it. */
static void
test_killed(void **state)
{
	static const char script[] = "echo ready; read line; \"$1\" 0; echo $?; exec \"$1\" 0";
	const char *const argv[] = {"sh", "-c", script, "sh", SUCCESSOR, NULL};
	struct conversation talk;
	pid_t collector;

	(void)state;
	converse_start(&talk, argv, environment_with(NULL));
	converse_read_line(&talk);
	collector = living_collector(scratch_file("child.*.vmt"));
	assert_int_equal(kill(collector, SIGSTOP), 0);
	dprintf(talk.to, "go on\n");
	assert_int_equal(kill(collector, SIGKILL), 0);
	converse_read_line(&talk);
	assert_string_equal(talk.line, "37");
	assert_int_equal(read(talk.from, talk.line, 1), 0);
	assert_int_equal(waitpid(talk.pid, NULL, 0), talk.pid);
	close(talk.to);
	close(talk.from);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recorded),	  cmocka_unit_test(test_at_once),
	    cmocka_unit_test(test_script),	  cmocka_unit_test(test_by_static),
	    cmocka_unit_test(test_first_process), cmocka_unit_test(test_left_out),
	    cmocka_unit_test(test_refused_exec),  cmocka_unit_test(test_failed_exec),
	    cmocka_unit_test(test_untraceable),	  cmocka_unit_test(test_many_untraceable),
	    cmocka_unit_test(test_killed),	  cmocka_unit_test(test_moved),
	};

	prefer_system_programs();
	return cmocka_run_group_tests_name("preloaded_children", tests, NULL, NULL);
}
