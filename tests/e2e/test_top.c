/* Does `vmtrace top` show what the report says, and leave the terminal as it was? In tmux. */
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"

#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_MS 60000
#define LEAKED_BYTES (10 << 20) /* by each line that the program reads */
#define STEADY_BYTES (4 << 20)

/* The program that leaks, with a snapshot of its present state. */
struct leaking {
	struct conversation talk;
	const char *trace;
	int64_t bytes;
};

static void
leak(struct leaking *leaking)
{
	assert_int_equal(write(leaking->talk.to, "\n", 1), 1);
	converse_read_line(&leaking->talk);
	leaking->bytes = atoll(leaking->talk.line);
	living_snapshot(leaking->trace);
}

static void
start(struct leaking *leaking)
{
	const char *const argv[] = {built("tests/target/leaking"), NULL};

	shell("rm -f %s/*.vmt", scratch());
	leaking->trace = scratch_file("leaking.vmt");
	converse_start(&leaking->talk, argv, preloaded(leaking->trace));
	(void)living_collector(leaking->trace);
	leak(leaking);
}

/* What the report says of the function that leaks, which is what the program says. */
static void
check_report_of(const struct leaking *leaking)
{
	json_t *all = report(leaking->trace, NULL);

	assert_int_equal(site_sum(all, NULL, "leak_blocks", "committed_bytes"), leaking->bytes);
	assert_int_equal(site_sum(all, NULL, "steady_cache", "committed_bytes"), STEADY_BYTES);
	json_decref(all);
}

/* -- a terminal ---------------------------------------------------------------------------------
 */

static char socket_path[4096];
static char pane[262144];
static int said; /* the number that the shell said last */

static void
open_terminal(void)
{
	static int terminals;
	char name[32];

	need_program("tmux");
	/* The server of the test before may still be about to end. */
	snprintf(name, sizeof(name), "tmux%d", terminals++);
	snprintf(socket_path, sizeof(socket_path), "%s", scratch_file(name));
	shell("env -u TMUX SHELL=/bin/sh PS1='$ ' LC_ALL=C.UTF-8 tmux -S %s -f /dev/null "
	      "new-session -d -x 100 "
	      "-y 30 'exec /bin/sh'",
	      socket_path);
}

static void
close_terminal(void)
{
	shell("tmux -S %s kill-server", socket_path);
}

static void
type(const char *keys)
{
	shell("tmux -S %s send-keys -- %s", socket_path, keys);
}

static const char *
look(void)
{
	struct run run;
	const char *const argv[] = {"tmux", "-S", socket_path, "capture-pane", "-p", NULL};

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	snprintf(pane, sizeof(pane), "%s", run.out);
	run_free(&run);
	return pane;
}

/* The first line of the pane that has the word; NULL: none. */
static const char *
line_with(const char *word)
{
	static char line[4096];

	for (const char *at = pane; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		if (strstr(line, word))
			return line;
	}
	return NULL;
}

static void
wait_for(const char *first, const char *second)
{
	int64_t deadline = now_ms() + LIMIT_MS;

	for (;;) {
		const char *line;

		look();
		line = line_with(first);
		if (line && strstr(line, second))
			return;
		if (now_ms() > deadline)
			fail_msg("no line has \"%s\" and \"%s\":\n%s", first, second, pane);
		poll(NULL, 0, 50);
	}
}

/* The row below the titles. */
static const char *
first_row(void)
{
	const char *titles = strstr(pane, "RESIDENT");
	static char row[4096];

	assert_non_null(titles);
	titles += strcspn(titles, "\n") + 1;
	snprintf(row, sizeof(row), "%.*s", (int)strcspn(titles, "\n"), titles);
	return row;
}

static void
run_top_in(const char *environment, const char *operand)
{
	char line[8192];

	snprintf(line, sizeof(line),
		 "'stty -g > %s/before; %s %s top -d 100ms %s; echo status=$?' Enter", scratch(),
		 environment, built("vmtrace"), operand);
	type(line);
}

static void
run_top(const char *operand)
{
	run_top_in("", operand);
}

/* Clears the screen, and lets the shell say what it never said before; the words are not typed. */
static void
say(void)
{
	char line[64];

	said++;
	snprintf(line, sizeof(line), "'clear; stty -g > after; echo said $((%d + 0))' Enter", said);
	type(line);
	snprintf(line, sizeof(line), "said %d", said);
	wait_for(line, "");
}

/* The terminal's settings are what they were, and what stood on it stands there again. */
static void
check_restored(const char *status)
{
	char line[32];

	wait_for(status, "");
	snprintf(line, sizeof(line), "said %d", said);
	assert_non_null(line_with(line));
	assert_null(line_with("RESIDENT"));
	say();
	shell("cmp %s/before %s/after", scratch(), scratch());
}

static void
begin_in_terminal(void)
{
	char line[4096];

	open_terminal();
	snprintf(line, sizeof(line), "'cd %s' Enter", scratch());
	type(line);
	say();
}

static void
test_screen(void **state)
{
	struct leaking leaking;
	char pid[16];

	(void)state;
	begin_in_terminal();
	start(&leaking);
	snprintf(pid, sizeof(pid), "%d", leaking.talk.pid);
	run_top(pid);
	wait_for("leak_blocks", "10 MiB");
	assert_non_null(strstr(first_row(), "leak_blocks"));
	leak(&leaking);
	wait_for("leak_blocks", "+10 MiB");
	assert_non_null(strstr(first_row(), "leak_blocks"));
	assert_non_null(strstr(first_row(), "20 MiB"));
	wait_for("steady_cache", "4 MiB");
	check_report_of(&leaking);
	assert_non_null(line_with("since opened"));

	type("c");
	wait_for("24 MiB", "mmap");
	type("c");
	wait_for("steady_cache", "");
	type("/steady Enter");
	wait_for("1 of 2 have", "steady");
	assert_null(line_with("leak_blocks"));
	type("/ Escape");
	wait_for("leak_blocks", "");
	type("?");
	wait_for("quit", "");
	type("?");
	wait_for("leak_blocks", "");

	type("q");
	check_restored("status=0");
	close_terminal();
	assert_int_equal(converse_end(&leaking.talk), 0);
}

static void
resize(int columns, int lines)
{
	shell("tmux -S %s resize-window -x %d -y %d", socket_path, columns, lines);
}

static void
test_sizes(void **state)
{
	struct leaking leaking;

	(void)state;
	begin_in_terminal();
	start(&leaking);
	run_top(leaking.trace);
	wait_for("leak_blocks", "10 MiB");
	resize(30, 8);
	wait_for("10 MiB", "");
	for (const char *at = look(); *at; at += strcspn(at, "\n"), at += *at == '\n')
		assert_true(strcspn(at, "\n") <= 60); /* bytes, of 30 characters */
	resize(2, 2);
	resize(1, 1);
	look();
	leak(&leaking);
	resize(400, 100);
	wait_for("leak_blocks", "20 MiB");
	assert_non_null(line_with("<- main"));
	resize(100, 30);
	wait_for("leak_blocks", "20 MiB");
	type("q");
	check_restored("status=0");
	close_terminal();
	assert_int_equal(converse_end(&leaking.talk), 0);
}

/* Of fewer abilities than tmux has, and without UTF-8. One that can't move its cursor gets the text
 * once. */
static void
test_simple_terminals(void **state)
{
	static const struct {
		const char *environment;
		bool is_text;
	} simple[] = {{"LC_ALL=C TERM=vt100", false},
		      {"LC_ALL=C TERM=linux", false},
		      {"LC_ALL=C TERM=dumb", true},
		      {"LC_ALL= LANG=C TERM=", true}};
	struct leaking leaking;

	(void)state;
	begin_in_terminal();
	resize(50, 20);
	start(&leaking);
	for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++) {
		run_top_in(simple[i].environment, leaking.trace);
		wait_for("leaking.c", "10 MiB"); /* there may be no room for the function */
		assert_true(simple[i].is_text || line_with("..")); /* what has no room */
		for (const char *at = pane; *at; at++)
			assert_true((unsigned char)*at < 0x80);
		if (!simple[i].is_text)
			type("q");
		wait_for("status=0", "");
		say();
		shell("cmp %s/before %s/after", scratch(), scratch());
	}
	close_terminal();
	assert_int_equal(converse_end(&leaking.talk), 0);
}

/* By signals that ask for the end, by one that is a crash, and by others that are deadly. */
static void
test_signals(void **state)
{
	const int signals[] = {SIGTERM, SIGINT,	 SIGHUP,  SIGQUIT,     SIGSEGV,
			       SIGABRT, SIGUSR1, SIGALRM, SIGRTMIN + 1};
	struct leaking leaking;
	char status[32];

	(void)state;
	begin_in_terminal();
	type("'ulimit -c 0; trap : INT' Enter");
	start(&leaking);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		run_top(leaking.trace);
		wait_for("leak_blocks", "10 MiB");
		shell("pkill -%d -f '^%s top -d 100ms %s'", signals[i], built("vmtrace"),
		      leaking.trace);
		snprintf(status, sizeof(status), "status=%d", 128 + signals[i]);
		check_restored(status);
	}
	close_terminal();
	assert_int_equal(converse_end(&leaking.talk), 0);
}

static bool
is_there(const char *words)
{
	struct run run;
	bool found;

	run_program(&run, (const char *const[]){"pgrep", "-f", words, NULL}, NULL);
	found = run.exit_status == 0;
	run_free(&run);
	return found;
}

/* The terminal goes, and SIGHUP is ignored, as under nohup: a signal does not end it, and it does
 * not stay without a terminal. */
static void
test_lost_terminal(void **state)
{
	int64_t deadline = now_ms() + LIMIT_MS;
	struct leaking leaking;
	char words[8192];

	(void)state;
	begin_in_terminal();
	start(&leaking);
	type("\"trap '' HUP\" Enter");
	run_top(leaking.trace);
	wait_for("leak_blocks", "10 MiB");
	snprintf(words, sizeof(words), "^%s top -d 100ms %s", built("vmtrace"), leaking.trace);
	shell("pkill -HUP -f '%s'", words);
	leak(&leaking);
	wait_for("leak_blocks", "20 MiB");
	close_terminal();
	while (is_there(words)) {
		if (now_ms() > deadline)
			fail_msg("it runs on without a terminal");
		poll(NULL, 0, 50);
	}
	assert_int_equal(converse_end(&leaking.talk), 0);
}

/* The trace is cut, and another one is put in its place: one clear line, and the terminal as
 * before. */
static void
test_trouble(void **state)
{
	struct leaking leaking;
	char copy[4096];

	(void)state;
	begin_in_terminal();
	start(&leaking);
	snprintf(copy, sizeof(copy), "%s", scratch_file("copy.vmt"));
	shell("cp %s %s", leaking.trace, copy);
	run_top(copy);
	wait_for("leak_blocks", "10 MiB");
	assert_int_equal(truncate(copy, 100), 0);
	check_restored("status=2");
	close_terminal();
	assert_int_equal(converse_end(&leaking.talk), 0);
}

/* -- text ---------------------------------------------------------------------------------------
 */

static char *
once(const char *operand, const char *option, const char *const environment[])
{
	const char *const argv[] = {built("vmtrace"), "top", operand, option, NULL};
	struct run run;
	char *text;

	run_program(&run, argv, environment);
	assert_string_equal(run.err, "");
	assert_int_equal(run.exit_status, 0);
	text = strdup(run.out);
	run_free(&run);
	return text;
}

static void
test_text(void **state)
{
	static const char *const plain[] = {"LC_ALL=C", "TERM=dumb", NULL};
	struct leaking leaking;
	char pid[16];
	char *text;

	(void)state;
	start(&leaking);
	leak(&leaking);
	check_report_of(&leaking);
	snprintf(pid, sizeof(pid), "%d", leaking.talk.pid);
	text = once(pid, "--once", NULL);
	snprintf(pane, sizeof(pane), "%s", text);
	free(text);
	assert_non_null(strstr(first_row(), "20 MiB"));
	assert_non_null(strstr(first_row(), "mmap leak_blocks"));
	assert_non_null(strstr(pane, "(running)"));

	text = once(leaking.trace, "--classes", plain);
	snprintf(pane, sizeof(pane), "%s", text);
	assert_non_null(line_with("24 MiB     24 MiB  mmap"));
	for (const char *at = text; *at; at++)
		assert_true((unsigned char)*at < 0x80);
	free(text);

	text = once(scratch(), NULL, NULL);
	assert_true(says(text, "1 run, 0 ended"));
	assert_non_null(strstr(text, pid));
	free(text);

	assert_int_equal(converse_end(&leaking.talk), 0);
	living_wait_end(leaking.trace);
	text = once(leaking.trace, "--once", NULL);
	assert_true(says(text, "(ended with status 0)"));
	free(text);
	text = once(scratch(), NULL, NULL);
	assert_true(says(text, "0 run, 1 ended"));
	free(text);
}

static bool
has_file(const char *pattern)
{
	glob_t found;
	bool has = glob(pattern, 0, NULL, &found) == 0;

	if (has)
		globfree(&found);
	return has;
}

/* Of a trace that has ended it reads what a report would, and keeps it. */
static void
test_kept(void **state)
{
	const char *const argv[] = {built("tests/target/cache_demo"), NULL};
	const char *trace = scratch_file("kept.vmt");
	char place[4096 + 32];
	struct run run;
	char *wanted;
	char *text;
	bool is_kept = false;

	(void)state;
	record(&run, trace, (const char *const[]){"--malloc", "all", NULL}, argv);
	run_free(&run);
	snprintf(place, sizeof(place), "XDG_CACHE_HOME=%s", scratch());
	wanted = once(trace, "--once", (const char *const[]){"VMTRACE_CACHE=off", place, NULL});
	for (int64_t limit_ms = now_ms() + LIMIT_MS; !is_kept && now_ms() < limit_ms;) {
		text =
		    once(trace, "--once", (const char *const[]){"VMTRACE_CACHE=all", place, NULL});
		assert_string_equal(text, wanted);
		free(text);
		/* Nothing is kept of a file that has just been written. */
		is_kept = has_file(scratch_file("vmtrace/*.digest"));
	}
	assert_true(is_kept);
	text = once(trace, "--once", (const char *const[]){"VMTRACE_CACHE=all", place, NULL});
	assert_string_equal(text, wanted);
	free(text);
	free(wanted);
	shell("rm -r %s", scratch_file("vmtrace"));
}

/* Of a process that nobody records there are classes, and it says so. */
static void
test_unrecorded(void **state)
{
	const char *const argv[] = {built("tests/target/leaking"), NULL};
	struct conversation talk;
	char pid[16];
	char *text;

	(void)state;
	converse_start(&talk, argv, NULL);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	snprintf(pid, sizeof(pid), "%d", talk.pid);
	text = once(pid, "--once", NULL);
	assert_true(says(text, "not recorded"));
	assert_true(says(text, "anonymous memory"));
	assert_null(strstr(text, "leak_blocks"));
	free(text);
	assert_int_equal(converse_end(&talk), 0);
}

/* What it had last stays on the screen when it is gone. */
static void
test_gone(void **state)
{
	const char *const argv[] = {built("tests/target/leaking"), NULL};
	struct conversation talk;
	char pid[16];

	(void)state;
	begin_in_terminal();
	converse_start(&talk, argv, NULL);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	snprintf(pid, sizeof(pid), "%d", talk.pid);
	run_top(pid);
	wait_for("anonymous memory", "14");
	wait_for(pid, "not recorded: classes alone");
	assert_int_equal(converse_end(&talk), 0);
	wait_for(pid, "has ended");
	wait_for("anonymous memory", "14");
	type("q");
	check_restored("status=0");
	close_terminal();
}

static void
refused(const char *operand, const char *words)
{
	const char *const argv[] = {built("vmtrace"), "top", operand, "--once", NULL};
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 2);
	if (!says(run.err, words))
		fail_msg("does not say \"%s\": %s", words, run.err);
	assert_string_equal(run.out, "");
	run_free(&run);
}

static void
test_refusals(void **state)
{
	char *text;

	(void)state;
	refused("999999999", "there is no process 999999999 here");
	refused("/nowhere/at/all.vmt", "No such file");
	refused("/proc/self/status", "empty");
	shell("mkdir -p %s/none", scratch());
	text = once(scratch_file("none"), "--once", NULL);
	assert_true(says(text, "0 run, 0 ended"));
	assert_true(says(text, "There is no trace yet."));
	free(text);
}

/* Files, and a directory that one of them lies in and that is said again: each trace is one. */
static void
expect_several(const char *words)
{
	const char *const argv[] = {built("vmtrace"),
				    "top",
				    "--once",
				    scratch_file("one.vmt"),
				    scratch_file("dir"),
				    scratch_file("dir/two.vmt"),
				    scratch_file("none"),
				    NULL};
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	if (!says(run.out, "and 3 more") || !says(run.out, words))
		fail_msg("does not say \"%s\": %s", words, run.out);
	run_free(&run);
}

static void
test_several(void **state)
{
	static struct conversation talks[2];
	static const char *const names[] = {"one.vmt", "dir/two.vmt"};
	const char *const argv[] = {built("tests/target/leaking"), NULL};

	(void)state;
	shell("mkdir -p '%s' '%s'", scratch_file("dir"), scratch_file("none"));
	for (int i = 0; i < 2; i++) {
		converse_start(&talks[i], argv, preloaded(scratch_file(names[i])));
		assert_int_equal(write(talks[i].to, "\n", 1), 1);
		converse_read_line(&talks[i]);
		living_snapshot(scratch_file(names[i]));
	}
	expect_several("2 run, 0 ended");
	assert_int_equal(living_reap(&talks[1], scratch_file(names[1])), 0);
	expect_several("1 run, 1 ended");
	(void)converse_end(&talks[0]);
}

/* A trace ends, is replaced by one that is being written, and goes. */
static void
test_directory_goes_on(void **state)
{
	const char *const argv[] = {built("tests/target/leaking"), NULL};
	struct leaking leaking;

	(void)state;
	begin_in_terminal();
	start(&leaking);
	run_top(scratch());
	wait_for("1 run, 0 ended", "");
	wait_for("tests/target/leaking", "MiB");
	assert_int_equal(converse_end(&leaking.talk), 0);
	wait_for("0 run, 1 ended", "");
	converse_start(&leaking.talk, argv, preloaded(scratch_file("next.vmt")));
	wait_for("1 run, 1 ended", "");
	wait_for("tests/target/leaking", "MiB");
	shell("mv %s %s", scratch_file("next.vmt"), leaking.trace);
	wait_for("1 run, 0 ended", "");
	wait_for("tests/target/leaking", "MiB");
	shell("rm %s", leaking.trace);
	wait_for("There is no trace yet.", "");
	type("q");
	check_restored("status=0");
	close_terminal();
	assert_int_equal(converse_end(&leaking.talk), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_screen),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_simple_terminals),
	    cmocka_unit_test(test_signals),
	    cmocka_unit_test(test_lost_terminal),
	    cmocka_unit_test(test_trouble),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_unrecorded),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_directory_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
