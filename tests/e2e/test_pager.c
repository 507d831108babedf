/*
 * test_pager.c: is long text shown by a pager, on a terminal and nowhere else?
 */
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define OUTPUT_BYTES (1 << 20)
#define DEADLINE_MS 120000

static char trace[4096];

static int
make_trace(void **state)
{
	const char *const argv[] = {built("tests/target/cache_demo"), NULL};
	struct run run;

	(void)state;
	snprintf(trace, sizeof(trace), "%s", scratch_file("demo.vmt"));
	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return 0;
}

/* Variables that the user's own shell may have set are unset. */
static void
set_up(const char *const environment[])
{
	static const char *const others[] = {"VMTRACE_PAGER", "PAGER", "LESS", "COLUMNS",
					     "NO_COLOR"};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		unsetenv(others[i]);
	setenv("TERM", "xterm", 1);
	for (size_t i = 0; environment && environment[i]; i++)
		putenv((char *)(size_t)environment[i]);
}

/* What a terminal shows that is so many columns wide, until all who have it have ended. */
static char *
read_terminal(int terminal)
{
	char *text = calloc(1, OUTPUT_BYTES);
	int64_t deadline_ms = now_ms() + DEADLINE_MS;
	size_t used = 0;

	assert_non_null(text);
	for (;;) {
		struct pollfd poll_one = {.fd = terminal, .events = POLLIN};
		int64_t left_ms = deadline_ms - now_ms();
		ssize_t bytes;

		if (left_ms <= 0 || poll(&poll_one, 1, (int)left_ms) <= 0)
			fail_msg("the terminal is still open; it shows: %s", text);
		bytes = read(terminal, text + used, OUTPUT_BYTES - 1 - used);
		if (bytes <= 0)
			return text;
		used += (size_t)bytes;
	}
}

/* Runs the command on a terminal; what that shows, to be freed, and how it ended. */
static char *
on_terminal(const char *const argv[], const char *const environment[], int *wait_status)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct winsize size = {.ws_row = 30, .ws_col = 60};
	char *text;
	pid_t pid;

	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal), 0);
	assert_int_equal(unlockpt(terminal), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int own;

		setsid();
		own = open(ptsname(terminal), O_RDWR);
		ioctl(own, TIOCSWINSZ, &size);
		dup2(own, STDIN_FILENO);
		dup2(own, STDOUT_FILENO);
		dup2(own, STDERR_FILENO);
		if (own > STDERR_FILENO)
			close(own);
		set_up(environment);
		execv(argv[0], (char *const *)(size_t)argv);
		_exit(127);
	}
	text = read_terminal(terminal);
	assert_int_equal(waitpid(pid, wait_status, 0), pid);
	close(terminal);
	return text;
}

static void
assert_pages(const char *command, const char *const environment[], const char *expected,
	     const char *unexpected)
{
	const char *argv[] = {built("vmtrace"), command, trace, NULL, NULL};
	int status;
	char *text;

	if (strcmp(command, "diff") == 0)
		argv[3] = trace;
	text = on_terminal(argv, environment, &status);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s ended with status %#x: %s", command, (unsigned)status, text);
	if (!says(text, expected) || (unexpected && says(text, unexpected)))
		fail_msg("%s: expected '%s', and not '%s': %s", command, expected,
			 unexpected ? unexpected : "", text);
	free(text);
}

static void
a_terminal_gets_a_pager(void **state)
{
	static const char *const commands[] = {"report", "diff", "dump"};
	const char *const ours[] = {"VMTRACE_PAGER=sed s/^/PAGED:/", "PAGER=false", NULL};
	const char *const theirs[] = {"PAGER=sed s/^/PAGED:/", NULL};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_pages(commands[i], ours, "PAGED:", NULL);
		assert_pages(commands[i], theirs, "PAGED:", NULL);
	}
}

static void
none_is_asked_for(void **state)
{
	const char *const cat[] = {"VMTRACE_PAGER=cat", "PAGER=sed s/^/PAGED:/", NULL};
	const char *const empty[] = {"VMTRACE_PAGER=", "PAGER=sed s/^/PAGED:/", NULL};
	const char *const missing[] = {"PAGER=/no/such/pager", NULL};
	const char *const dumb[] = {"PAGER=sed s/^/PAGED:/", "TERM=dumb", NULL};

	(void)state;
	assert_pages("report", cat, "arena_grow", "PAGED:");
	assert_pages("report", empty, "arena_grow", "PAGED:");
	assert_pages("report", missing, "arena_grow", "PAGED:");
	assert_pages("report", dumb, "arena_grow", "PAGED:");
}

/* Through a pager text looks as on the terminal itself: colors, and its width. */
static void
text_is_made_for_the_terminal(void **state)
{
	const char *const environment[] = {"VMTRACE_PAGER=sed s/^/PAGED:/;cat >/dev/null", NULL};
	const char *const argv[] = {built("vmtrace"), "report", trace, NULL};
	int status;
	char *text = on_terminal(argv, environment, &status);

	(void)state;
	assert_non_null(says(text, "PAGED:\033[1mRSS "));
	for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
		size_t columns = 0;
		bool escaped = false;

		for (const char *at = line + strlen("PAGED:"); *at; at++) {
			escaped |= *at == '\033';
			columns += !escaped && ((unsigned char)*at & 0xc0) != 0x80;
			escaped &= *at != 'm';
		}
		assert_true(columns <= 60);
	}
	free(text);
}

static void
less_is_told_how(void **state)
{
	const char *const unset[] = {"VMTRACE_PAGER=cat >/dev/null; echo \"less: $LESS\"", NULL};
	const char *const set[] = {"VMTRACE_PAGER=cat >/dev/null; echo \"less: $LESS\"", "LESS=S",
				   NULL};

	(void)state;
	assert_pages("report", unset, "less: FRX", NULL);
	assert_pages("report", set, "less: S", "FRX");
}

/* What has not the whole text to show ends the command, as it does others in a pipe. */
static void
whoever_leaves_early_may(void **state)
{
	const char *const environment[] = {"VMTRACE_PAGER=exec head -n 1", NULL};
	const char *const argv[] = {built("vmtrace"), "dump", trace, NULL};
	int status;
	char *text = on_terminal(argv, environment, &status);

	(void)state;
	assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) ||
		    (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	assert_null(says(text, "vmtrace: "));
	free(text);
}

/* An error is seen after the pager has gone. */
static void
an_error_is_seen(void **state)
{
	const char *const environment[] = {"VMTRACE_PAGER=sed s/^/PAGED:/", NULL};
	const char *const argv[] = {built("vmtrace"), "report", "/no/such/trace.vmt", NULL};
	int status;
	char *text = on_terminal(argv, environment, &status);

	(void)state;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	assert_ptr_equal(says(text, "vmtrace: "), text);
	free(text);
}

static void
a_pipe_and_a_file_get_none(void **state)
{
	const char *const environment[] = {"VMTRACE_PAGER=sed s/^/PAGED:/", "TERM=xterm", NULL};
	const char *const argv[] = {built("vmtrace"), "report", trace, NULL};
	const char *const to_file[] = {built("vmtrace"),	   "report", trace, "-o",
				       scratch_file("report.txt"), NULL};
	struct run run;
	int status;
	char *text;

	(void)state;
	run_program(&run, argv, environment);
	assert_int_equal(run.exit_status, 0);
	assert_null(says(run.out, "PAGED:"));
	assert_null(says(run.out, "\033["));
	run_free(&run);
	text = on_terminal(to_file, environment, &status);
	assert_string_equal(text, "");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_terminal_gets_a_pager),	     cmocka_unit_test(none_is_asked_for),
	    cmocka_unit_test(text_is_made_for_the_terminal), cmocka_unit_test(less_is_told_how),
	    cmocka_unit_test(whoever_leaves_early_may),	     cmocka_unit_test(an_error_is_seen),
	    cmocka_unit_test(a_pipe_and_a_file_get_none),
	};

	return cmocka_run_group_tests(tests, make_trace, NULL);
}
