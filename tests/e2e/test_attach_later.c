/*
 * test_attach_later.c: is a program left unharmed that has become, since a recorder came into it,
 * one that nothing may be called in, or whose memory another process runs in?
 */
#include "tests/e2e/harness.h"

#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

static void
ask(struct conversation *program, const char *letter)
{
	assert_int_equal(write(program->to, letter, strlen(letter)), (long)strlen(letter));
	converse_read_line(program);
	assert_string_equal(program->line, "done");
}

static void
begin(struct conversation *program)
{
	converse_start(program, (const char *const[]){built("tests/target/attached_later"), NULL},
		       NULL);
	converse_read_line(program);
	assert_string_equal(program->line, "ready");
}

/* Its standard error is what is read. */
static void
attach(struct conversation *command, pid_t pid, const char *trace)
{
	char script[1024];

	snprintf(script, sizeof(script), "exec '%s' record -p %d -o '%s' 2>&1 >/dev/null",
		 built("vmtrace"), (int)pid, trace);
	converse_start(command, (const char *const[]){"sh", "-c", script, NULL}, NULL);
	converse_read_line(command);
	if (!says(command->line, "recording process"))
		print_message("%s\n", command->line);
	assert_non_null(says(command->line, "recording process"));
}

static void
expect_end(struct conversation *program)
{
	int status = converse_end(program);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
one_that_filters_its_calls(void **state)
{
	const char *trace = scratch_file("filtered.vmt");
	struct conversation program, command;
	json_t *root;

	(void)state;
	begin(&program);
	attach(&command, program.pid, trace);
	ask(&program, "m\n");
	ask(&program, "f\n");
	ask(&program, "m\n");
	assert_int_equal(kill(command.pid, SIGINT), 0);
	converse_read_line(&command);
	assert_non_null(says(command.line, "its code is put back, unused mappings stay"));
	assert_int_equal(converse_end(&command), 0);
	ask(&program, "m\n");
	expect_end(&program);
	root = report(trace, NULL);
	check_report(root);
	json_decref(root);
}

static void
one_whose_memory_is_shared(void **state)
{
	struct conversation program, command;
	struct run run;
	char number[16];

	(void)state;
	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) != 0) {
		print_message("skip: this kernel compares no processes (kcmp)\n");
		skip();
	}
	begin(&program);
	ask(&program, "s\n");
	snprintf(number, sizeof(number), "%d", (int)program.pid);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-p", number, "--for", "10ms",
					  "-o", scratch_file("shared.vmt"), NULL},
		    NULL);
	assert_non_null(says(run.err, "another process runs in its memory"));
	run_free(&run);
	ask(&program, "m\n");
	expect_end(&program);
	/* It comes after the recorder: the recorder can't leave, and says so. */
	begin(&program);
	attach(&command, program.pid, scratch_file("shared.vmt"));
	ask(&program, "s\n");
	assert_int_equal(kill(command.pid, SIGINT), 0);
	converse_read_line(&command);
	assert_non_null(
	    says(command.line, "can't be left yet: another process runs in its memory"));
	ask(&program, "m\n");
	expect_end(&program);
	converse_end(&command);
}

/* Threads that had one pointer between them before the recorder came are told apart. */
static void
threads_that_share_their_pointer(void **state)
{
	const char *trace = scratch_file("pointer.vmt");
	struct conversation program, command;
	size_t moves = 0;
	int64_t thread;
	json_t *events, *row;
	size_t i;

	(void)state;
	begin(&program);
	assert_int_equal(write(program.to, "p\n", 2), 2);
	converse_read_line(&program);
	thread = strtoll(program.line, NULL, 10);
	converse_read_line(&program);
	assert_string_equal(program.line, "done");
	attach(&command, program.pid, trace);
	for (int turn = 0; turn < 3; turn++)
		ask(&program, "t\n");
	assert_int_equal(kill(command.pid, SIGINT), 0);
	converse_end(&command);
	expect_end(&program);
	events = dump(trace, "event");
	json_array_foreach(events, i, row)
	{
		if (strcmp(json_string_value(member(row, "kind")), "MREMAP") != 0)
			continue;
		assert_int_equal(number(row, "thread"),
				 number(row, "length") <= 4 * 4096 ? program.pid : thread);
		moves++;
	}
	assert_int_equal(moves, 36);
	json_decref(events);
}

static size_t
count_lines(pid_t pid)
{
	char path[32];
	size_t count = 0;
	FILE *file;
	int letter;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while ((letter = fgetc(file)) != EOF)
		count += letter == '\n';
	fclose(file);
	return count;
}

/* Where the trace can't be made, nothing of the attempt stays. */
static void
one_that_may_write_no_file(void **state)
{
	struct rlimit limit = {4096, RLIM_INFINITY};
	struct conversation program;
	char number[16];
	size_t before;

	(void)state;
	begin(&program);
	ask(&program, "m\n");
	assert_int_equal(prlimit(program.pid, RLIMIT_FSIZE, &limit, NULL), 0);
	snprintf(number, sizeof(number), "%d", (int)program.pid);
	before = count_lines(program.pid);
	for (int i = 0; i < 3; i++) {
		struct run run;

		run_program(&run,
			    (const char *const[]){built("vmtrace"), "record", "-p", number, "--for",
						  "10ms", "-o", scratch_file("none.vmt"), NULL},
			    NULL);
		assert_non_null(says(run.err, "can't be recorded"));
		run_free(&run);
	}
	assert_int_equal(count_lines(program.pid), before);
	ask(&program, "m\n");
	expect_end(&program);
}

/* All of them are told of while it stands, and nobody drains the ring. */
static void
one_of_many_mappings(void **state)
{
	const char *trace = scratch_file("many.vmt");
	struct conversation program, command;
	json_t *root, *loss;

	(void)state;
	begin(&program);
	ask(&program, "a\n");
	attach(&command, program.pid, trace);
	assert_int_equal(kill(command.pid, SIGINT), 0);
	assert_int_equal(converse_end(&command), 0);
	expect_end(&program);
	root = report(trace, NULL);
	check_report(root);
	loss = member(root, "loss");
	assert_true(number(loss, "events") >= 3000);
	assert_int_equal(number(loss, "events_overwritten"), 0);
	assert_int_equal(number(loss, "events_dropped"), 0);
	json_decref(root);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_that_filters_its_calls),
	    cmocka_unit_test(one_whose_memory_is_shared),
	    cmocka_unit_test(threads_that_share_their_pointer),
	    cmocka_unit_test(one_that_may_write_no_file),
	    cmocka_unit_test(one_of_many_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
	return 0;
}

#endif
