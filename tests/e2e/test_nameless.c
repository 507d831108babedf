/*
 * test_nameless.c: are names true where the allocator of an interpreter has none?
 *
 * tests/target/interpreted.c with a stripped library: one address allocates for all, and is called
 * by three entries that have names. What is said of an entry is what that entry allocated, in the
 * first sentence, in every row, and in a diff.
 */
#include "tests/e2e/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULE "interpreter.so+0x"

static char library[4096];
static char traces[2][4096];

/* The snapshot is taken while the program stands still. */
static void
make_trace(const char *trace, const char *chunks)
{
	static struct conversation talk;

	converse_start(
	    &talk, (const char *const[]){built("tests/target/interpreted"), library, chunks, NULL},
	    preloaded(trace));
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	living_snapshot(trace);
	assert_int_equal(living_reap(&talk, trace), 0);
}

static int
make_traces(void **state)
{
	static const char *const chunks[2] = {"110", "180"};
	struct run run;

	(void)state;
	snprintf(library, sizeof(library), "%s", scratch_file("interpreter.so"));
	run_program(&run,
		    (const char *const[]){"strip", "-s", "-o", library,
					  built("tests/target/plugin_interpreter"), NULL},
		    NULL);
	if (run.exit_status != 0)
		return -1;
	run_free(&run);
	for (int i = 0; i < 2; i++) {
		char name[32];

		snprintf(name, sizeof(name), "interpreted.%d.vmt", i);
		snprintf(traces[i], sizeof(traces[i]), "%s", scratch_file(name));
		make_trace(traces[i], chunks[i]);
	}
	return 0;
}

static void
run_wide(struct run *run, const char *const argv[])
{
	run_program(run, argv, (const char *const[]){"COLUMNS=160", NULL});
	if (run->exit_status != 0)
		fail_msg("%s: %s", argv[1], run->err);
}

static void
expect(const char *text, const char *words)
{
	if (strstr(text, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, text);
}

/* The first paragraph, with its lines joined. */
static char *
first_sentence(char *text)
{
	for (char *at = strchr(text, '\n'); at && at[1] != '\n' && at[1] != ' ';
	     at = strchr(at, '\n'))
		*at = ' ';
	return text;
}

/* The line in which a row begins that names this entry below it, NULL where there is none. */
static const char *
row_of(const char *text, const char *entry, size_t *rows)
{
	const char *row = NULL;
	const char *found = NULL;

	*rows = 0;
	for (const char *line = text; *line; line += strcspn(line, "\n") + (*line != '\0')) {
		size_t length = strcspn(line, "\n");

		if (memmem(line, length, " mmap " MODULE, strlen(" mmap " MODULE)))
			row = line;
		if (row && memmem(line, length, entry, strlen(entry))) {
			found = row;
			++*rows;
		}
		if (line[length] == '\0')
			break;
	}
	return found;
}

static void
expect_row(const char *text, const char *entry, const char *figure)
{
	size_t rows;
	const char *row = row_of(text, entry, &rows);

	if (!row)
		fail_msg("no row of %s in: %s", entry, text);
	assert_int_equal(rows, 1);
	if (!memmem(row, strcspn(row, "\n"), figure, strlen(figure)))
		fail_msg("%s: not %s in: %.*s", entry, figure, (int)strcspn(row, "\n"), row);
}

static void
test_first_sentence(void **state)
{
	struct run run;

	(void)state;
	run_wide(&run, (const char *const[]){built("vmtrace"), "report", traces[0], NULL});
	first_sentence(run.out);
	expect(run.out, "mostly by " MODULE);
	expect(run.out, " (called by interpreter_run) (110 MiB)");
	run_free(&run);
}

/* However many callers are shown, an entry's rows hold its bytes, in one row where none of its own
 * frames tells more. */
static void
test_rows(void **state)
{
	struct run run;

	(void)state;
	run_wide(&run,
		 (const char *const[]){built("vmtrace"), "report", "--frames=0", traces[0], NULL});
	expect_row(run.out, "<- ... <- interpreter_run (interpreter.so)", "  110 MiB ");
	expect_row(run.out, "<- ... <- interpreter_load (interpreter.so)", "   24 MiB ");
	expect_row(run.out, "<- ... <- interpreter_setup (interpreter.so)", "   12 MiB ");
	run_free(&run);
	run_wide(&run,
		 (const char *const[]){built("vmtrace"), "report", "--frames=2", traces[0], NULL});
	expect_row(run.out, "<- ... <- interpreter_run (interpreter.so)", "  110 MiB ");
	expect_row(run.out, "<- ... <- interpreter_load (interpreter.so)", "   24 MiB ");
	expect_row(run.out, "<- interpreter_setup (interpreter.so)", "   12 MiB ");
	run_free(&run);
}

static void
test_diff(void **state)
{
	struct run run;

	(void)state;
	run_wide(&run, (const char *const[]){built("vmtrace"), "diff", traces[0], traces[1], NULL});
	expect_row(run.out, "<- interpreter_run (interpreter.so)", "+70 MiB   110 MiB   180 MiB ");
	first_sentence(run.out);
	expect(run.out, "Mostly at " MODULE);
	expect(run.out, " (called by interpreter_run), +70 MiB.");
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_sentence),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_diff),
	};

	return cmocka_run_group_tests_name("nameless", tests, make_traces, NULL);
}
