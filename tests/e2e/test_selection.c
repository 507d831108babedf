/*
 * test_selection.c: are --focus, --ignore, --hide, --match, --by and --tree true, and can every row
 * be grepped?
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char trace[4096];
static char other[4096]; /* of the same program */

static int
make_traces(void **state)
{
	const char *const argv[] = {built("tests/target/cache_demo"), NULL};
	char *const paths[] = {trace, other};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct run run;

		snprintf(paths[i], sizeof(trace), "%s", scratch_file(i ? "b.vmt" : "a.vmt"));
		record(&run, paths[i], NULL, argv);
		assert_int_equal(run.exit_status, 0);
		run_free(&run);
	}
	return 0;
}

/* What `vmtrace COMMAND TRACE [OTHER] options` prints, with this COLUMNS. */
static void
run_text(struct run *run, const char *command, const char *const options[], const char *columns)
{
	const char *argv[16] = {built("vmtrace"), command, trace};
	const char *const environment[] = {columns, NULL};
	size_t count = 3;

	if (strcmp(command, "diff") == 0)
		argv[count++] = other;
	for (size_t i = 0; options && options[i]; i++)
		argv[count++] = options[i];
	run_program(run, argv, environment);
}

static json_t *
shown_part(json_t *doc, const char *which)
{
	return member(member(doc, "selection"), which);
}

/* The sum of a figure over all of a report's call sites. */
static int64_t
sum_of(json_t *doc, const char *figure)
{
	size_t index;
	json_t *site;
	int64_t sum = 0;

	json_array_foreach(member(doc, "sites"), index, site) sum += number(site, figure);
	return sum;
}

static bool
has_function(json_t *site, const char *function)
{
	size_t index;
	json_t *frame;

	json_array_foreach(member(site, "frames"), index, frame)
	{
		const char *name = json_string_value(member(frame, "function"));

		if (name && strcmp(name, function) == 0)
			return true;
	}
	return false;
}

/* focus and ignore part the call sites, and nothing is lost between the two. */
static void
focus_and_ignore_part_all_sites(void **state)
{
	const char *const focus[] = {"--focus", "^serve$", NULL};
	const char *const ignore[] = {"--ignore", "^serve$", NULL};
	json_t *all = report(trace, NULL);
	json_t *with = report(trace, focus);
	json_t *without = report(trace, ignore);
	size_t index;
	json_t *site;

	(void)state;
	assert_true(json_is_null(json_object_get(all, "selection")));
	assert_true(json_array_size(member(with, "sites")) > 0);
	assert_true(json_array_size(member(without, "sites")) > 0);
	json_array_foreach(member(with, "sites"), index, site)
	    assert_true(has_function(site, "serve"));
	json_array_foreach(member(without, "sites"), index, site)
	    assert_false(has_function(site, "serve"));
	assert_int_equal(json_array_size(member(with, "sites")) +
			     json_array_size(member(without, "sites")),
			 json_array_size(member(all, "sites")));
	for (int i = 0; i < 2; i++) {
		static const char *const figures[] = {"committed_bytes", "reserved_bytes"};

		assert_int_equal(sum_of(with, figures[i]) + sum_of(without, figures[i]),
				 sum_of(all, figures[i]));
		assert_int_equal(number(shown_part(with, "shown"), figures[i]),
				 sum_of(with, figures[i]));
		assert_int_equal(number(shown_part(with, "all"), figures[i]),
				 sum_of(all, figures[i]));
	}
	/* What is not shown stays in the whole. */
	assert_true(json_equal(member(with, "classes"), member(all, "classes")));
	assert_true(json_equal(member(with, "totals"), member(all, "totals")));
	json_decref(all);
	json_decref(with);
	json_decref(without);
}

/* Text says how much JSON has. */
static void
text_says_what_is_left_out(void **state)
{
	const char *const focus[] = {"--focus", "load_records", NULL};
	const char *const nobody[] = {"--match", "no such function", NULL};
	json_t *with = report(trace, focus);
	char expected[64];
	struct run run;

	(void)state;
	snprintf(expected, sizeof(expected), "%lld of %lld call sites shown: ",
		 (long long)number(shown_part(with, "shown"), "sites"),
		 (long long)number(shown_part(with, "all"), "sites"));
	run_text(&run, "report", focus, "COLUMNS=100");
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, expected));
	assert_non_null(says(run.out, "load_records cache_demo.c:33\n"));
	assert_null(says(run.out, "mmap compact"));
	/* The first sentence is about the whole process, whatever the rows are. */
	assert_non_null(says(run.out, "mapped by mmap"));
	run_free(&run);
	json_decref(with);
	run_text(&run, "report", nobody, "COLUMNS=100");
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "\n0 of "));
	run_free(&run);
}

static void
a_hidden_frame_names_nothing(void **state)
{
	const char *const hide[] = {"--hide", "^(load_records|arena_grow|main|_start)$", NULL};
	json_t *all = report(trace, NULL);
	json_t *hidden = report(trace, hide);
	struct run run;

	(void)state;
	assert_non_null(find_site(all, "malloc", "load_records", 8));
	assert_null(find_site(hidden, NULL, "load_records", 8));
	assert_non_null(find_site(hidden, "malloc", "serve", 8));
	assert_int_equal(sum_of(hidden, "committed_bytes"), sum_of(all, "committed_bytes"));
	assert_int_equal(json_array_size(member(hidden, "sites")),
			 json_array_size(member(all, "sites")));
	run_text(&run, "report", hide, "COLUMNS=100");
	assert_non_null(says(run.out, "malloc serve cache_demo.c:"));
	assert_null(says(run.out, "load_records"));
	run_free(&run);
	json_decref(all);
	json_decref(hidden);
}

static void
a_bad_pattern_is_an_option_error(void **state)
{
	static const char *const options[] = {"--focus", "--ignore", "--hide"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		const char *const bad[] = {options[i], "(", NULL};
		const char *const commands[] = {"report", "diff"};

		for (int j = 0; j < 2; j++) {
			struct run run;

			run_text(&run, commands[j], bad, "COLUMNS=100");
			assert_int_equal(run.exit_status, 2);
			assert_string_equal(run.out, "");
			assert_non_null(says(run.err, options[i]));
			assert_non_null(says(run.err, "usage: vmtrace"));
			run_free(&run);
		}
	}
}

/* The line of text that has the part, to be freed; NULL where none has. */
static char *
line_with(const char *text, const char *part)
{
	const char *at = says(text, part);
	const char *begin = at;

	if (!at)
		return NULL;
	while (begin > text && begin[-1] != '\n')
		begin--;
	return strndup(begin, strcspn(begin, "\n"));
}

/* Off a terminal a row has its figures, its function and its line on one line, however narrow. */
static void
every_row_can_be_grepped(void **state)
{
	static const char *const widths[] = {"COLUMNS=100", "COLUMNS=30"};
	static const char *const rows[] = {"arena_grow cache_demo.c:20", "compact cache_demo.c:52",
					   "load_records cache_demo.c:33",
					   "MADV_DONTNEED compact cache_demo.c:57"};

	(void)state;
	for (int width = 0; width < 2; width++) {
		struct run run;
		const char *table;

		run_text(&run, "report", NULL, widths[width]);
		table = says(run.out, "Call sites by");
		assert_non_null(table);
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			char *line = line_with(table, rows[i]);

			if (!line || !strstr(line, "iB"))
				fail_msg("%s, '%s': '%s'", widths[width], rows[i],
					 line ? line : "no line");
			free(line);
		}
		run_free(&run);
	}
}

/* The page of a diff has all rows: choosing some for it would be for nothing. */
static void
a_page_of_a_diff_has_all_rows(void **state)
{
	const char *const options[] = {"--focus", "load_records", "--format", "html", NULL};
	struct run run;

	(void)state;
	run_text(&run, "diff", options, "COLUMNS=100");
	assert_int_equal(run.exit_status, 2);
	assert_string_equal(run.out, "");
	assert_non_null(says(run.err, "do not go with --format html"));
	run_free(&run);
}

static void
a_diff_shows_what_was_asked_for(void **state)
{
	const char *const focus[] = {"--focus", "load_records", "-f", "json", NULL};
	const char *const text[] = {"--focus", "load_records", NULL};
	const char *const whole[] = {"-f", "json", NULL};
	struct run runs[3];
	json_t *docs[2];
	json_t *site;
	size_t index;

	(void)state;
	run_text(&runs[0], "diff", focus, "COLUMNS=100");
	run_text(&runs[1], "diff", whole, "COLUMNS=100");
	run_text(&runs[2], "diff", text, "COLUMNS=100");
	docs[0] = json_loads(runs[0].out, 0, NULL);
	docs[1] = json_loads(runs[1].out, 0, NULL);
	assert_non_null(docs[0]);
	assert_non_null(docs[1]);
	assert_true(json_array_size(member(docs[0], "sites")) > 0);
	json_array_foreach(member(docs[0], "sites"), index, site)
	    assert_true(has_function(site, "load_records"));
	assert_int_equal(number(shown_part(docs[0], "all"), "sites"),
			 json_array_size(member(docs[1], "sites")));
	assert_true(json_equal(member(docs[0], "totals"), member(docs[1], "totals")));
	assert_true(json_equal(member(docs[0], "verdict"), member(docs[1], "verdict")));
	assert_non_null(says(runs[2].out, " call sites shown: committed "));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(runs[i].exit_status, 0);
		run_free(&runs[i]);
	}
	json_decref(docs[0]);
	json_decref(docs[1]);
}

static int64_t
thread_of(json_t *doc, const char *function)
{
	json_t *site = find_site(doc, NULL, function, 8);

	assert_non_null(site);
	return number(site, "thread");
}

/* The main thread maps the arena, the worker loads records and compacts. */
static void
each_threads_calls_are_its_own(void **state)
{
	const char *const options[] = {"--by", "thread", NULL};
	json_t *doc = report(trace, options);
	json_t *plain = report(trace, NULL);
	json_t *rows = member(member(doc, "aggregate"), "rows");
	int64_t pid = number(member(doc, "process"), "pid");
	int64_t committed = 0;
	size_t index;
	json_t *row;

	(void)state;
	assert_int_equal(thread_of(doc, "arena_grow"), pid);
	assert_true(thread_of(doc, "compact") != pid);
	assert_int_equal(thread_of(doc, "compact"), thread_of(doc, "load_records"));
	assert_true(json_array_size(rows) >= 2);
	json_array_foreach(rows, index, row) committed += number(row, "committed_bytes");
	assert_int_equal(committed, sum_of(doc, "committed_bytes"));
	/* Nobody else's figures are any different for it. */
	assert_true(json_equal(member(doc, "classes"), member(plain, "classes")));
	assert_int_equal(sum_of(doc, "count"), sum_of(plain, "count"));
	assert_int_equal(sum_of(doc, "reserved_bytes"), sum_of(plain, "reserved_bytes"));
	assert_true(json_is_null(json_object_get(plain, "aggregate")));
	json_decref(doc);
	json_decref(plain);
}

/* Text and JSON have the same rows. */
static void
views_are_printed(void **state)
{
	const char *const by[] = {"--by", "function", NULL};
	const char *const tree[] = {"--tree", NULL};
	const char *const inverted[] = {"--inverted", "--focus", "serve", NULL};
	const char *const wrong[][4] = {{"--by", "functon"},
					{"--by", "file", "--tree"},
					{"--tree", "-f", "json"},
					{"--tree", "--from", "1s"}};
	struct run run;

	(void)state;
	run_text(&run, "report", by, "COLUMNS=100");
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "  load_records\n"));
	assert_non_null(says(run.out, "  total = RSS\n"));
	run_free(&run);
	run_text(&run, "report", tree, "COLUMNS=100");
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "arena_grow cache_demo.c:20\n"));
	assert_non_null(says(run.out, "  sum of all call sites\n"));
	run_free(&run);
	run_text(&run, "report", inverted, "COLUMNS=100");
	assert_int_equal(run.exit_status, 0);
	assert_null(says(run.out, "arena_grow cache_demo.c:20\n"));
	assert_non_null(says(run.out, "  sum of what was chosen\n"));
	run_free(&run);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		run_text(&run, "report", wrong[i], "COLUMNS=100");
		assert_int_equal(run.exit_status, 2);
		assert_string_equal(run.out, "");
		if (i == 0)
			assert_non_null(says(run.err, "did you mean function?"));
		run_free(&run);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(focus_and_ignore_part_all_sites),
	    cmocka_unit_test(text_says_what_is_left_out),
	    cmocka_unit_test(a_hidden_frame_names_nothing),
	    cmocka_unit_test(a_bad_pattern_is_an_option_error),
	    cmocka_unit_test(every_row_can_be_grepped),
	    cmocka_unit_test(each_threads_calls_are_its_own),
	    cmocka_unit_test(views_are_printed),
	    cmocka_unit_test(a_page_of_a_diff_has_all_rows),
	    cmocka_unit_test(a_diff_shows_what_was_asked_for),
	};

	return cmocka_run_group_tests(tests, make_traces, NULL);
}
