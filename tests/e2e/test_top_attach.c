/* Does `vmtrace top -a` show the calls of a process that nobody records, and leave it however it
 * ends? */
#include "tests/e2e/harness.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS 30000
#define LOOK_MS 10

static struct conversation program;
static char pid[16];
static const char *environment[3];

static void
leak(void)
{
	assert_int_equal(write(program.to, "\n", 1), 1);
	converse_read_line(&program);
}

static int
set_up(void **state)
{
	(void)state;
	shell("rm -rf '%s' && mkdir '%s'", scratch_file("places"), scratch_file("places"));
	environment[0] = variable("TMPDIR", scratch_file("places"));
	environment[1] = variable("TERM", "xterm");
	converse_start(&program, (const char *const[]){built("tests/target/leaking"), NULL}, NULL);
	leak();
	snprintf(pid, sizeof(pid), "%d", program.pid);
	return 0;
}

static bool
holds(const char *format, const char *word)
{
	char line[8192];
	struct run run;
	bool is;

	snprintf(line, sizeof(line), format, word);
	run_program(&run, (const char *const[]){"sh", "-c", line, NULL}, NULL);
	is = run.exit_status == 0;
	run_free(&run);
	return is;
}

static void
wait_until(const char *format, const char *word)
{
	int64_t deadline_ms = now_ms() + LIMIT_MS;

	while (!holds(format, word)) {
		if (now_ms() > deadline_ms)
			fail_msg("%s is not so of %s", format, word);
		poll(NULL, 0, LOOK_MS);
	}
}

/* Nobody records it, no file is left, and it goes on. */
static int
tear_down(void **state)
{
	struct run run;

	(void)state;
	wait_until("test -z \"$(ls -A '%s')\"", scratch_file("places"));
	wait_until("! pgrep -f '[v]mtrace record -p %s '", pid);
	run_program(&run, (const char *const[]){built("vmtrace"), "top", pid, "--once", NULL},
		    NULL);
	assert_non_null(strstr(run.out, "not recorded"));
	run_free(&run);
	leak();
	return converse_end(&program);
}

/* Until its trace lies there, with which recording has begun. */
static void
start_top(struct conversation *top, const char *const argv[])
{
	converse_start(top, argv, environment);
	wait_until("ls '%s'/vmtrace-top-*/*.vmt", scratch_file("places"));
}

static void
expect_left_after(int signal_number)
{
	const char *const argv[] = {built("vmtrace"), "top", "-a", pid, "--once", "-d", "1h", NULL};
	struct conversation top;
	int status;

	start_top(&top, argv);
	assert_int_equal(kill(top.pid, signal_number), 0);
	status = converse_end(&top);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
}

static void
a_signal_is_its_end(void **state)
{
	(void)state;
	expect_left_after(SIGTERM);
}

static void
being_killed_is_its_end(void **state)
{
	(void)state;
	expect_left_after(SIGKILL);
}

/* Escape sequences are between the words, and none is in a name. */
static void
wait_for_word(struct conversation *top, const char *word)
{
	static char text[1 << 20];
	int64_t deadline_ms = now_ms() + LIMIT_MS;
	size_t length = 0;

	do {
		struct pollfd fd = {.fd = top->from, .events = POLLIN};
		ssize_t got;

		if (now_ms() > deadline_ms || length + 1 == sizeof(text))
			fail_msg("no %s in %s", word, text);
		if (poll(&fd, 1, LOOK_MS) <= 0)
			continue;
		got = read(top->from, text + length, sizeof(text) - 1 - length);
		assert_true(got > 0);
		length += (size_t)got;
		text[length] = '\0';
	} while (!strstr(text, word));
}

static void
calls_are_shown_until_it_is_quit(void **state)
{
	struct conversation top;
	char line[8192];
	int status;

	(void)state;
	need_program("script");
	snprintf(line, sizeof(line), "stty rows 30 cols 100; exec '%s' top -a %s -d 100ms",
		 built("vmtrace"), pid);
	start_top(&top, (const char *const[]){"script", "-qec", line, "/dev/null", NULL});
	leak();
	wait_for_word(&top, "leak_blocks");
	assert_int_equal(write(top.to, "q", 1), 1);
	status = converse_end(&top);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
only_a_process_is_attached_to(void **state)
{
	static const struct {
		const char *operands[2];
		const char *says;
	} wrong[] = {
	    {{"/tmp"}, "--attach takes the number of one process"},
	    {{"1", "1"}, "--attach takes the number of one process"},
	    {{"999999999"}, "can't be recorded: it has ended"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct run run;

		run_program(&run,
			    (const char *const[]){built("vmtrace"), "top", "--once", "-a",
						  wrong[i].operands[0], wrong[i].operands[1], NULL},
			    environment);
		assert_int_equal(run.exit_status, 2);
		assert_string_equal(run.out, "");
		if (!says(run.err, wrong[i].says))
			fail_msg("%s, not: %s", run.err, wrong[i].says);
		run_free(&run);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(calls_are_shown_until_it_is_quit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_signal_is_its_end, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(being_killed_is_its_end, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(only_a_process_is_attached_to, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
