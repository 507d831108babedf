/*
 * test_static_children.c: are programs recorded that load no library, and that a shell executes, or
 * another such program?
 *
 * Under `vmtrace record` of that. Whatever becomes of it, they run as they would.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/successors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATTERN SUCCESSORS_PATTERN

/* A shell's script, whose $1 is the static program; it prints process numbers. */
static void
record_script(struct run *run, const char *const options[], const char *script)
{
	const char *argv[24] = {built("vmtrace"), "record", "-o", scratch_file(PATTERN)};
	size_t count = 4;
	const char *const rest[] = {
	    "--", "sh", "-c", script, "sh", built("tests/target/static_successor"), NULL};

	for (size_t i = 0; options && options[i]; i++)
		argv[count++] = options[i];
	memcpy(argv + count, rest, sizeof(rest));
	run_program(run, argv, NULL);
}

/* By a child, and in the shell's own place. */
static void
test_recorded(void **state)
{
	struct run run;
	int64_t child;
	int64_t shell;
	char *rest;

	(void)state;
	record_script(&run, NULL,
		      "\"$1\" 0 & echo $!; wait $!; [ $? = 37 ] || exit 1; echo $$; exec \"$1\" 0");
	assert_int_equal(run.exit_status, 37);
	child = strtoll(run.out, &rest, 10);
	shell = strtoll(rest, NULL, 10);
	successor_check(child);
	successor_check(shell);
	assert_null(strstr(run.err, "not recorded"));
	run_free(&run);
}

static void
check_script(const char *const argv[])
{
	struct run run;

	record(&run, scratch_file(PATTERN), NULL, argv);
	assert_int_equal(run.exit_status, 37);
	successor_check(strtoll(run.out, NULL, 10));
	assert_null(strstr(run.err, "not recorded"));
	run_free(&run);
}

/* What runs a script is a program, too, whether the script is named or open. */
static void
test_script(void **state)
{
	char *script = strdup(scratch_file("script"));
	FILE *file = fopen(script, "w");

	(void)state;
	assert_non_null(file);
	fprintf(file, "#!%s 0\n", built("tests/target/static_successor"));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(script, 0755), 0);
	check_script(
	    (const char *const[]){"sh", "-c", "\"$1\" & echo $!; wait $!", "sh", script, NULL});
	check_script(
	    (const char *const[]){built("tests/target/exec_kinds"), "script", script, NULL});
	free(script);
}

/* What was found in its file serves each later start. */
static void
test_again_and_again(void **state)
{
	struct run run;
	char *rest;

	(void)state;
	record_script(&run, NULL, "for i in 1 2 3 4 5; do \"$1\" 0 & echo $!; wait $!; done");
	assert_int_equal(run.exit_status, 37);
	rest = run.out;
	for (int i = 0; i < 5; i++)
		successor_check(strtoll(rest, &rest, 10));
	assert_null(strstr(run.err, "not recorded"));
	run_free(&run);
}

/* The shell is recorded, but not the child that the script starts. */
static void
check_left_out(const char *const options[])
{
	struct run run;
	int64_t child;
	char *rest;

	record_script(&run, options, "echo $$; \"$1\" 0 & echo $!; wait $!");
	assert_int_equal(run.exit_status, 37);
	assert_true(successor_has_trace(strtoll(run.out, &rest, 10)));
	child = strtoll(rest, NULL, 10);
	assert_true(child > 0);
	assert_false(successor_is_recorded(child));
	assert_null(strstr(run.err, "not recorded"));
	run_free(&run);
}

/* Of two children the first is recorded. */
static void
check_first_alone(struct run *run)
{
	int64_t second;
	char *rest;

	assert_int_equal(run->exit_status, 37);
	successor_check(strtoll(run->out, &rest, 10));
	second = strtoll(rest, NULL, 10);
	assert_true(second > 0);
	assert_false(successor_is_recorded(second));
	assert_null(strstr(run->err, "not recorded"));
}

static void
test_left_out(void **state)
{
	struct run run;

	(void)state;
	check_left_out((const char *const[]){"--follow", "none", NULL});
	check_left_out((const char *const[]){"--follow", "fork", NULL});
	check_left_out((const char *const[]){"--only", "sh", NULL});
	record_script(&run, NULL,
		      "\"$1\" 0 & echo $!; wait $!; "
		      "env -u LD_PRELOAD \"$1\" 0 & echo $!; wait $!");
	check_first_alone(&run);
	run_free(&run);
}

static void
test_chosen(void **state)
{
	struct run run;

	(void)state;
	record_script(&run, (const char *const[]){"--only", "static_successor", NULL},
		      "\"$1\" 0 & echo $!; wait $!");
	assert_int_equal(run.exit_status, 37);
	successor_check(strtoll(run.out, NULL, 10));
	run_free(&run);
}

/* Who is traced gains no privileges by an exec: such a program is left alone. */
static void
test_privileged(void **state)
{
	const char *program = scratch_file("privileged");
	const char *const copy[] = {"cp", built("tests/target/static_successor"), program, NULL};
	const char *const argv[] = {"sh",
				    "-c",
				    "\"$1\" 0 & echo $!; wait $!; \"$2\" 0 & echo $!; wait $!",
				    "sh",
				    built("tests/target/static_successor"),
				    program,
				    NULL};
	struct run run;

	(void)state;
	run_program(&run, copy, NULL);
	run_free(&run);
	assert_int_equal(chmod(program, 04755), 0);
	record(&run, scratch_file(PATTERN), NULL, argv);
	check_first_alone(&run);
	run_free(&run);
}

/* Whose exec fails goes on, and is let go; the next exec of the same process is recorded. */
static void
test_failed_exec(void **state)
{
	static const char script[] =
	    "shopt -s execfail\n"
	    "exec \"$1\" 2>/dev/null\n"
	    "for ((i = 0; i < 6000; i++)); do\n"
	    "  grep -q \"TracerPid:.0$\" /proc/$$/status && break; sleep 0.01; done\n"
	    "((i < 6000)) || exit 1\n"
	    "echo $$; chmod 755 \"$1\"; exec \"$1\"\n";
	const char *program = scratch_file("forbidden");
	const char *const copy[] = {"cp", built("tests/target/static_successor"), program, NULL};
	const char *const argv[] = {"bash", "-c", script, "bash", program, NULL};
	struct run run;

	(void)state;
	need_program("bash");
	run_program(&run, copy, NULL);
	run_free(&run);
	assert_int_equal(chmod(program, 0644), 0);
	record(&run, scratch_file(PATTERN), NULL, argv);
	assert_int_equal(run.exit_status, 37);
	successor_check(strtoll(run.out, NULL, 10));
	assert_null(strstr(run.err, "not recorded"));
	run_free(&run);
}

/* It is stopped to be let go: no call of its ends by that. */
static void
test_failed_exec_interrupts_nothing(void **state)
{
	const char *program = scratch_file("kept");
	const char *const copy[] = {"cp", built("tests/target/static_successor"), program, NULL};
	const char *const argv[][4] = {
	    {built("tests/target/failed_exec_waits"), program, NULL},
	    {built("tests/target/failed_exec_waits"), program, "thread", NULL}};
	struct run run;

	(void)state;
	run_program(&run, copy, NULL);
	run_free(&run);
	assert_int_equal(chmod(program, 0644), 0);
	for (size_t i = 0; i < 2; i++) {
		record(&run, scratch_file("waits.vmt"), NULL, argv[i]);
		assert_int_equal(run.exit_status, 0);
		run_free(&run);
	}
}

/* The thread that is let go executes meanwhile, and has its process's number from then on. The
 * delays are those after which the server looks whether the exec has failed. */
static void
test_failed_exec_and_another(void **state)
{
	static const char *const delays[] = {"3000", "3300", "3600", "3800", "4000",
					     "4200", "4400", "4600", "4800", "5000"};
	char *program = strdup(scratch_file("kept"));
	const char *const copy[] = {"cp", built("tests/target/static_successor"), program, NULL};
	struct run run;

	(void)state;
	run_program(&run, copy, NULL);
	run_free(&run);
	assert_int_equal(chmod(program, 0644), 0);
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		/* Killed in place of the test where it stands for good. */
		const char *const argv[] = {"timeout",
					    "-s",
					    "KILL",
					    "100",
					    built("vmtrace"),
					    "record",
					    "-o",
					    scratch_file("anew.%p.vmt"),
					    "--",
					    built("tests/target/failed_exec_waits"),
					    program,
					    "again",
					    delays[i],
					    NULL};

		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 7);
		run_free(&run);
	}
	free(program);
}

/* By functions of libc's and a system call, in any thread; a script's interpreter; by a child. */
static void
test_in_each_way(void **state)
{
	static const char *const ways[] = {"plain", "syscall", "thread",   "shared",
					   "vfork", "spawn",   "searched", "begets"};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const char *const argv[] = {built("tests/target/exec_kinds"), ways[i],
					    built("tests/target/static_successor"), "0", NULL};
		struct run run;

		record(&run, scratch_file(PATTERN), NULL, argv);
		assert_int_equal(run.exit_status, i < 4 ? 37 : 7);
		if (!successor_is_recorded(strtoll(run.out, NULL, 10)))
			fail_msg("%s: not recorded: %s", ways[i], run.err);
		assert_null(strstr(run.err, "not recorded"));
		run_free(&run);
	}
}

/* What the kernel refuses it refuses with the same error, whatever the pointers. */
static void
test_bad_pointers(void **state)
{
	const char *const argv[] = {built("tests/target/bad_exec"),
				    built("tests/target/static_successor"), NULL};
	struct run bare;
	struct run run;

	(void)state;
	run_program(&bare, argv, NULL);
	assert_int_equal(bare.exit_status, 5);
	assert_non_null(strstr(bare.out, "execve 1: -1 14\n"));
	record(&run, scratch_file("bad.vmt"), NULL, argv);
	assert_int_equal(run.exit_status, 5);
	assert_string_equal(run.out, bare.out);
	run_free(&run);
	run_free(&bare);
}

/* The command's own process, which two of vmtrace's threads may wait for. */
static void
test_status(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		const char *const argv[] = {
		    "sh", "-c", "exec \"$1\"", "sh", built("tests/target/static_end"), NULL};
		struct run run;

		record(&run, scratch_file("status.%p.vmt"), NULL, argv);
		assert_int_equal(run.exit_status, 42);
		run_free(&run);
	}
}

/* The command may be gone when the shell executes the next one. */
static void
test_killed(void **state)
{
	static const char script[] = "echo ready; read line; \"$1\" 0; echo $?; exec \"$1\" 0";
	const char *const argv[] = {built("vmtrace"),
				    "record",
				    "-o",
				    scratch_file("killed.%p.vmt"),
				    "--",
				    "sh",
				    "-c",
				    script,
				    "sh",
				    built("tests/target/static_successor"),
				    NULL};
	struct conversation talk;

	(void)state;
	converse_start(&talk, argv, NULL);
	converse_read_line(&talk);
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	assert_int_equal(waitpid(talk.pid, NULL, 0), talk.pid);
	dprintf(talk.to, "go on\n");
	converse_read_line(&talk);
	assert_string_equal(talk.line, "37");
	assert_int_equal(read(talk.from, talk.line, 1), 0);
	close(talk.to);
	close(talk.from);
}

/* Many at once: each runs, and each is recorded or counted. */
static void
test_many(void **state)
{
	static const char script[] =
	    "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do \"$1\" 0 & echo $!; done; wait";
	struct run run;
	unsigned recorded = 0;
	unsigned missed = 0;
	const char *said;

	(void)state;
	record_script(&run, NULL, script);
	assert_int_equal(run.exit_status, 0);
	for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n"))
		recorded += successor_is_recorded(strtoll(line, NULL, 10));
	said = strstr(run.err, " that load");
	if (said) {
		while (said > run.err && strncmp(said, "vmtrace: ", 9) != 0)
			said--;
		missed = (unsigned)strtoul(said + 9, NULL, 10);
	}
	assert_int_equal(recorded + missed, 12);
	assert_true(recorded > 0);
	run_free(&run);
}

/* One that loads no library executes another, after an exec that fails. */
static void
record_static(struct run *run, const char *way)
{
	const char *const argv[] = {built("tests/target/static_executes"), way,
				    built("tests/target/static_successor"), "0", NULL};

	record(run, scratch_file(PATTERN), NULL, argv);
	assert_int_equal(run->exit_status, 37);
	assert_null(strstr(run->err, "not recorded"));
}

/* Its trace ends with the exec that worked, and leads to the next one. */
static void
check_replaced(int64_t pid)
{
	char name[64];
	json_t *root;

	snprintf(name, sizeof(name), "child.%" PRId64 ".vmt", pid);
	root = report(scratch_file(name), NULL);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "exec");
	json_decref(root);
}

static void
test_static_in_place(void **state)
{
	static const char *const ways[] = {"exec", "execveat"};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct run run;
		char *rest;
		int64_t pid;

		record_static(&run, ways[i]);
		pid = strtoll(run.out, &rest, 10);
		assert_string_equal(rest, "\n2\n");
		successor_check(pid);
		check_replaced(pid);
		run_free(&run);
	}
}

static void
test_static_by_child(void **state)
{
	static const char *const ways[] = {"fork", "vfork", "spawn"};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct run run;
		char *rest = NULL;

		record_static(&run, ways[i]);
		if (strcmp(ways[i], "spawn") != 0)
			assert_int_equal(strtoll(run.out, &rest, 10), ENOENT);
		successor_check(strtoll(rest ? rest : run.out, NULL, 10));
		run_free(&run);
	}
}

/* Who was seized for an exec that the kernel refuses is let go, also where it can't be stopped
 * then, and goes on. Its next exec is recorded. */
static void
test_static_refused(void **state)
{
	const char *program = scratch_file("refused");
	const char *const copy[] = {"cp", built("tests/target/static_successor"), program, NULL};
	const char *const argv[] = {built("tests/target/static_executes"), "refused", program, "0",
				    NULL};
	struct run run;
	int64_t pid;
	char *rest;

	(void)state;
	run_program(&run, copy, NULL);
	run_free(&run);
	assert_int_equal(chmod(program, 0644), 0);
	record(&run, scratch_file(PATTERN), NULL, argv);
	assert_int_equal(run.exit_status, 37);
	pid = strtoll(run.out, &rest, 10);
	assert_string_equal(rest, "\n13\n");
	successor_check(pid);
	assert_null(strstr(run.err, "not recorded"));
	run_free(&run);
}

static void
test_static_left_out(void **state)
{
	const char *const argv[] = {built("tests/target/static_executes"), "fork",
				    built("tests/target/static_successor"), "0", NULL};
	const char *const options[] = {"--follow", "fork", NULL};
	struct run run;
	char *rest;

	(void)state;
	record(&run, scratch_file(PATTERN), options, argv);
	assert_int_equal(run.exit_status, 37);
	assert_int_equal(strtoll(run.out, &rest, 10), ENOENT);
	assert_false(successor_is_recorded(strtoll(rest, NULL, 10)));
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recorded),
	    cmocka_unit_test(test_in_each_way),
	    cmocka_unit_test(test_left_out),
	    cmocka_unit_test(test_chosen),
	    cmocka_unit_test(test_privileged),
	    cmocka_unit_test(test_failed_exec),
	    cmocka_unit_test(test_failed_exec_interrupts_nothing),
	    cmocka_unit_test(test_failed_exec_and_another),
	    cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_bad_pointers),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_script),
	    cmocka_unit_test(test_again_and_again),
	    cmocka_unit_test(test_static_in_place),
	    cmocka_unit_test(test_static_by_child),
	    cmocka_unit_test(test_static_refused),
	    cmocka_unit_test(test_static_left_out),
	};

	prefer_system_programs();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
