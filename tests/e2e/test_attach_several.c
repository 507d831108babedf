/*
 * test_attach_several.c: are several processes that run recorded at once, each in a trace of its
 * own, and is none spoiled by another that can't be?
 */
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define MOST_LINES 16

#if defined(__x86_64__)

/* It maps so many MiB, each by a call, and has answered when this returns. */
static void
grow(struct conversation *program, unsigned char mib)
{
	unsigned char answer = 0;

	assert_int_equal(write(program->to, &mib, 1), 1);
	assert_int_equal(read(program->from, &answer, 1), 1);
	assert_int_equal(answer, mib);
}

static void
start_program(struct conversation *program)
{
	converse_start(program, (const char *const[]){built("tests/target/attached"), "0", NULL},
		       NULL);
	grow(program, 1);
}

static void
end_program(struct conversation *program)
{
	int status = converse_end(program);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* Its lines so far. */
struct said {
	char text[8192];
};

/* Until it says that it records so many, of which it says one number more. */
static void
start_recording(struct conversation *command, struct said *said, const char *options, int count)
{
	char script[2048], last[64];

	snprintf(script, sizeof(script), "exec '%s' record %s 2>&1", built("vmtrace"), options);
	snprintf(last, sizeof(last), "recording %d process", count);
	converse_start(command, (const char *const[]){"sh", "-c", script, NULL}, NULL);
	said->text[0] = '\0';
	for (int i = 0; i < MOST_LINES && !strstr(said->text, last); i++) {
		converse_read_line(command);
		assert_true(strlen(said->text) + strlen(command->line) + 2 < sizeof(said->text));
		strcat(strcat(said->text, command->line), "\n");
	}
	assert_non_null(strstr(said->text, last));
}

/* What it says until its end, which closes its output. */
static void
read_rest(struct conversation *command, struct said *said)
{
	size_t length = 0;
	ssize_t count;

	do {
		count = read(command->from, said->text + length, sizeof(said->text) - 1 - length);
		assert_true(count >= 0);
		length += (size_t)count;
	} while (count > 0);
	assert_true(length < sizeof(said->text) - 1);
	said->text[length] = '\0';
}

static int
end_recording(struct conversation *command)
{
	int status;

	assert_int_equal(kill(command->pid, SIGINT), 0);
	status = converse_end(command);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
check_growth(const char *trace, pid_t pid, int64_t mib)
{
	json_t *read = report(trace, NULL);

	check_report(read);
	assert_int_equal(number(member(read, "process"), "pid"), pid);
	assert_int_equal(site_sum(read, "mmap", "grow", "count"), mib);
	assert_int_equal(site_sum(read, "mmap", "grow", "reserved_bytes"), mib * MIB);
	json_decref(read);
}

static pid_t
one_that_has_ended(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return child;
}

static void
trace_of(char *path, size_t room, const char *directory, pid_t pid)
{
	snprintf(path, room, "%s/%d.vmt", directory, (int)pid);
}

static void
three_of_whom_one_has_ended(void **state)
{
	const char *directory = scratch();
	pid_t gone = one_that_has_ended();
	struct conversation one, other, command;
	char options[1024], path[512], refused[128];
	struct said said;

	(void)state;
	start_program(&one);
	start_program(&other);
	snprintf(options, sizeof(options), "-p %d,%d --pid %d -o '%s/%%p.vmt'", (int)one.pid,
		 (int)gone, (int)other.pid, directory);
	start_recording(&command, &said, options, 2);
	snprintf(refused, sizeof(refused),
		 "the calls of process %d can't be recorded: it has ended; it is left as it is\n",
		 (int)gone);
	assert_non_null(strstr(said.text, refused));
	grow(&one, 5);
	grow(&other, 7);
	assert_int_equal(end_recording(&command), 1);
	trace_of(path, sizeof(path), directory, one.pid);
	check_growth(path, one.pid, 5);
	trace_of(path, sizeof(path), directory, other.pid);
	check_growth(path, other.pid, 7);
	grow(&one, 1);
	grow(&other, 1);
	end_program(&one);
	end_program(&other);
}

/* Each is left at the end of the time; each can be recorded again. */
static void
two_for_a_time(void **state)
{
	const char *directory = scratch();
	struct conversation one, other;
	char pids[64], output[512], path[512];
	struct run run;

	(void)state;
	start_program(&one);
	start_program(&other);
	snprintf(pids, sizeof(pids), "%d,%d", (int)one.pid, (int)other.pid);
	snprintf(output, sizeof(output), "%s/%%p.vmt", directory);
	for (int i = 0; i < 2; i++) {
		run_program(&run,
			    (const char *const[]){built("vmtrace"), "record", "-p", pids, "--for",
						  "20ms", "-o", output, NULL},
			    NULL);
		assert_int_equal(run.exit_status, 0);
		assert_non_null(says(run.err, "recording 2 processes"));
		assert_non_null(says(run.err, "2 traces written"));
		assert_null(says(run.err, "without this collector"));
		run_free(&run);
	}
	trace_of(path, sizeof(path), directory, other.pid);
	check_growth(path, other.pid, 0);
	grow(&one, 1);
	grow(&other, 1);
	end_program(&one);
	end_program(&other);
}

/* What an earlier recording wrote is not called another collector's, however new its file is. */
static void
again_beside_a_new_file(void **state)
{
	const char *directory = scratch_file("again");
	struct conversation one, other, command;
	char options[1024], path[512];
	struct said said;

	(void)state;
	assert_int_equal(mkdir(directory, 0700), 0);
	start_program(&one);
	start_program(&other);
	snprintf(options, sizeof(options), "-p %d,%d -o '%s/%%p.vmt'", (int)one.pid, (int)other.pid,
		 directory);
	for (int i = 0; i < 2; i++) {
		start_recording(&command, &said, options, 2);
		trace_of(path, sizeof(path), directory, one.pid);
		assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
		assert_int_equal(kill(command.pid, SIGINT), 0);
		read_rest(&command, &said);
		assert_int_equal(converse_end(&command), 0);
		assert_non_null(says(said.text, "2 traces written"));
		assert_null(says(said.text, "without this collector"));
	}
	end_program(&one);
	end_program(&other);
}

/* The number of the only child of a shell. */
static pid_t
child_of(pid_t parent)
{
	char path[64];
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	for (int64_t end = now_ms() + 60000; child == 0 && now_ms() < end; usleep(1000)) {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		if (fscanf(file, "%d", &child) != 1)
			child = 0;
		fclose(file);
	}
	assert_true(child > 0);
	return child;
}

static void
one_with_its_descendants(void **state)
{
	const char *const argv[] = {"sh", "-c", "\"$0\" 0; exit $?", built("tests/target/attached"),
				    NULL};
	const char *directory = scratch_file("tree");
	struct conversation shell_program, command;
	char options[1024], path[512];
	struct said said;
	struct run run;
	pid_t child;

	(void)state;
	assert_int_equal(mkdir(directory, 0700), 0);
	converse_start(&shell_program, argv, NULL);
	grow(&shell_program, 1);
	child = child_of(shell_program.pid);
	snprintf(options, sizeof(options), "-p %d --tree -o '%s/%%p.vmt'", (int)shell_program.pid,
		 directory);
	start_recording(&command, &said, options, 2);
	grow(&shell_program, 6);
	assert_int_equal(end_recording(&command), 0);
	trace_of(path, sizeof(path), directory, child);
	check_growth(path, child, 6);
	run_program(&run, (const char *const[]){built("vmtrace"), "report", directory, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "2 traces in "));
	assert_non_null(says(run.out, ", recorded after "));
	run_free(&run);
	end_program(&shell_program);
}

/* By root, into a directory where both may write: each finds the collector. */
static void
two_of_different_users(void **state)
{
	const char *directory = scratch_file("users");
	const char *program = built_for_others("tests/target/attached");
	struct conversation one, other, command;
	char options[1024], path[512];
	struct said said;

	(void)state;
	if (geteuid() != 0) {
		printf("skip: only root can become another user\n");
		skip();
	}
	assert_int_equal(mkdir(directory, 0700), 0);
	assert_int_equal(chmod(directory, 01777), 0);
	converse_start(&one,
		       (const char *const[]){"setpriv", "--reuid", "65534", "--regid", "65534",
					     "--clear-groups", program, "0", NULL},
		       NULL);
	grow(&one, 1);
	start_program(&other);
	snprintf(options, sizeof(options), "-p %d,%d -o '%s/%%p.vmt'", (int)one.pid, (int)other.pid,
		 directory);
	start_recording(&command, &said, options, 2);
	grow(&one, 5);
	grow(&other, 7);
	assert_int_equal(end_recording(&command), 0);
	trace_of(path, sizeof(path), directory, one.pid);
	check_growth(path, one.pid, 5);
	trace_of(path, sizeof(path), directory, other.pid);
	check_growth(path, other.pid, 7);
	end_program(&one);
	end_program(&other);
}

/* What can't be done is said before anything is. */
static void
wrong_words(void **state)
{
	static const struct {
		const char *const argv[8];
		const char *says;
	} cases[] = {
	    {{"record", "-p", "1,x", NULL}, "'x' is not a process id"},
	    {{"record", "-p", "1,", NULL}, "'' is not a process id"},
	    {{"record", "--watch", "-p", "1", "-p", "2", NULL}, "--watch watches one process"},
	    {{"record", "--tree", "--", "true", NULL}, "--tree goes with -p PID"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *argv[9] = {built("vmtrace")};
		struct run run;

		for (int j = 0; cases[i].argv[j]; j++)
			argv[j + 1] = cases[i].argv[j];
		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 125);
		assert_non_null(says(run.err, cases[i].says));
		run_free(&run);
	}
}

#endif

int
main(void)
{
#if defined(__x86_64__)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(three_of_whom_one_has_ended),
	    cmocka_unit_test(two_for_a_time),
	    cmocka_unit_test(again_beside_a_new_file),
	    cmocka_unit_test(one_with_its_descendants),
	    cmocka_unit_test(two_of_different_users),
	    cmocka_unit_test(wrong_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
