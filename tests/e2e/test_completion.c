/*
 * test_completion.c: do the shells themselves offer what the command takes, and are the examples in
 * its helps command lines that it takes?
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* bash, fish: the script's path; zsh: the directory of _vmtrace. */
static char scripts[3][4096];
static const char *const shells[] = {"bash", "zsh", "fish"};

static int
make_scripts(void **state)
{
	static const char *const names[] = {"vmtrace.bash", "_vmtrace", "vmtrace.fish"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		const char *const argv[] = {built("vmtrace"), "completion", shells[i], NULL};
		struct run run;
		FILE *file;

		snprintf(scripts[i], sizeof(scripts[i]), "%s", scratch_file(names[i]));
		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 0);
		file = fopen(scripts[i], "w");
		assert_non_null(file);
		assert_int_equal(fwrite(run.out, 1, run.out_bytes, file), run.out_bytes);
		assert_int_equal(fclose(file), 0);
		run_free(&run);
	}
	snprintf(scripts[1], sizeof(scripts[1]), "%s", scratch());
	return 0;
}

static int
compare_lines(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Lines in their order, each once, with a blank between. */
static void
sort_lines(char *text, char *sorted, size_t sorted_bytes)
{
	char *lines[256];
	size_t count = 0;
	size_t used = 0;

	for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
		assert_true(count < sizeof(lines) / sizeof(*lines));
		lines[count++] = line;
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	sorted[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if (i == 0 || strcmp(lines[i - 1], lines[i]) != 0)
			used += (size_t)snprintf(sorted + used, sorted_bytes - used, "%s%s",
						 used ? " " : "", lines[i]);
	assert_true(used < sorted_bytes);
}

static void
assert_offers(const char *line, const char *expected)
{
	static const char *const programs[] = {"complete.bash", "complete.zsh", "complete.fish"};
	static const char *const options[] = {"--norc", "-f", "--no-config"};

	for (int i = 0; i < 3; i++) {
		const char *const argv[] = {shells[i],	options[i], script_file(programs[i]),
					    scripts[i], line,	    NULL};
		const char *const environment[] = {"TERM=xterm", variable("HOME", scratch()), NULL};
		struct run run;
		char offered[4096];

		run_program(&run, argv, environment);
		sort_lines(run.out, offered, sizeof(offered));
		if (strcmp(offered, expected) != 0)
			fail_msg("%s offers for '%s': '%s', and not '%s'; it says: %s", shells[i],
				 line, offered, expected, run.err);
		run_free(&run);
	}
}

static void
shells_offer_what_the_command_takes(void **state)
{
	(void)state;
	assert_offers("vmtrace re", "record report");
	assert_offers("vmtrace help d", "diff doctor dump");
	assert_offers("vmtrace report --so", "--sort");
	assert_offers("vmtrace report --sort ",
		      "committed count gap leaked never-touched released reserved temporary");
	assert_offers("vmtrace report -s te", "temporary");
	assert_offers("vmtrace report --by ", "class file function module thread");
	assert_offers("vmtrace record --malloc ", "all off sampled");
	assert_offers("vmtrace dump --format ", "json text");
	assert_offers("vmtrace diff --at ", "end peak");
	assert_offers("vmtrace diff --fail", "--fail-over");
	assert_offers("vmtrace report --focus ", "");
}

/* The script for fish has a line for each option, and -a before the words of its value. */
static void
options_without_a_value_have_no_words(void **state)
{
	static const char *const options[] = {" -l open ", " -l pack "};
	FILE *file = fopen(scripts[2], "r");
	char line[4096];
	unsigned found = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < 2; i++)
			if (strstr(line, options[i])) {
				found++;
				if (strstr(line, " -a "))
					fail_msg("has words: %s", line);
			}
	fclose(file);
	assert_true(found >= 2);
}

/* What is offered behind a "=" is the whole word in fish, and the rest of it in the others. */
static void
values_behind_an_equals_sign(void **state)
{
	const char *const argv[] = {
	    "bash", "--norc", script_file("complete.bash"), scripts[0], "vmtrace report --sort=le",
	    NULL};
	struct run run;

	(void)state;
	run_program(&run, argv, NULL);
	assert_string_equal(run.out, "leaked\n");
	run_free(&run);
}

/* In bash a word of a program that is to be recorded is none of vmtrace's. */
static void
what_follows_two_dashes_is_not_ours(void **state)
{
	const char *const argv[] = {
	    "bash", "--norc", script_file("complete.bash"), scripts[0], "vmtrace record -- ls --ma",
	    NULL};
	struct run run;

	(void)state;
	run_program(&run, argv, NULL);
	assert_string_equal(run.out, "\n");
	run_free(&run);
}

static void
run_example(const char *line)
{
	const char *const argv[] = {"sh", "-c", line, NULL};
	char path[8192];
	const char *const environment[] = {path, NULL};
	char directory[4096];
	struct run run;

	snprintf(directory, sizeof(directory), "%s", built("vmtrace"));
	*strrchr(directory, '/') = '\0';
	snprintf(path, sizeof(path), "PATH=%s:%s", directory, getenv("PATH"));
	run_program(&run, argv, environment);
	if (says(run.err, "usage:") || run.exit_status == 127)
		fail_msg("%s: %s", line, run.err);
	run_free(&run);
}

/* Of a help: what stands below "Examples:", up to the two blanks before what it is for. */
static void
run_examples(const char *command)
{
	const char *const argv[] = {built("vmtrace"), command, "--help", NULL};
	struct run run;
	char *line;
	int examples = 0;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	line = says(run.out, "\nExamples:\n");
	if (!line)
		fail_msg("the help of %s has no examples", command);
	for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n")) {
		char *end = strncmp(line, "  ", 2) == 0 ? strstr(line + 2, "  ") : NULL;

		if (!end)
			continue;
		*end = '\0';
		examples++;
		if (strcmp(command, "report") == 0 || strcmp(command, "diff") == 0 ||
		    strcmp(command, "dump") == 0)
			run_example(line);
	}
	assert_true(examples > 0);
	run_free(&run);
}

static void
examples_can_be_typed(void **state)
{
	static const char *const traces[] = {"run.vmt", "before.vmt", "after.vmt", "a.vmt",
					     "b.vmt"};
	static const char *const commands[] = {"record", "report", "diff", "dump",	"pack",
					       "doctor", "env",	   "help", "completion"};
	const char *const argv[] = {built("tests/target/cache_demo"), NULL};
	char sources[4096];
	struct run run;

	(void)state;
	for (size_t i = 0; i < sizeof(traces) / sizeof(*traces); i++) {
		record(&run, scratch_file(traces[i]), NULL, argv);
		assert_int_equal(run.exit_status, 0);
		run_free(&run);
	}
	assert_non_null(getcwd(sources, sizeof(sources)));
	assert_int_equal(chdir(scratch()), 0);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		run_examples(commands[i]);
	assert_int_equal(chdir(sources), 0);
}

static void
a_mistyped_word_has_a_nearest_one(void **state)
{
	static const char *const lines[][4] = {
	    {"help", "repotr", "did you mean report?"},
	    {"completion", "fisch", "did you mean fish?"},
	    {"repotr", "x", "did you mean report?"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const char *const argv[] = {built("vmtrace"), lines[i][0], lines[i][1], NULL};
		struct run run;

		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 2);
		if (!says(run.err, lines[i][2]))
			fail_msg("%s %s: %s", lines[i][0], lines[i][1], run.err);
		run_free(&run);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shells_offer_what_the_command_takes),
	    cmocka_unit_test(options_without_a_value_have_no_words),
	    cmocka_unit_test(values_behind_an_equals_sign),
	    cmocka_unit_test(what_follows_two_dashes_is_not_ours),
	    cmocka_unit_test(examples_can_be_typed),
	    cmocka_unit_test(a_mistyped_word_has_a_nearest_one),
	};

	return cmocka_run_group_tests(tests, make_scripts, NULL);
}
