/*
 * test_diff.c: does a diff tell the stories of a program that is known to live them?
 *
 * tests/target/diff_demo.c moves, touches and reserves whole megabytes: the rows of its calls must
 * say so to the byte. Totals hold the libraries' pages too, of which two runs have not quite as
 * many.
 */
#include "format/head.h"
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

static const char *const modes[] = {"base", "touch", "grow", "reserve", "move", "again"};
static char traces[6][4096];

enum { BASE, TOUCH, GROW, RESERVE, MOVE, AGAIN };

static int
make_traces(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		char name[64];
		struct run run;
		const char *const argv[] = {built("tests/target/diff_demo"), modes[i], NULL};

		snprintf(name, sizeof(name), "diff.%s.vmt", modes[i]);
		snprintf(traces[i], sizeof(traces[i]), "%s", scratch_file(name));
		record(&run, traces[i], NULL, argv);
		if (run.exit_status != 0)
			fprintf(stderr, "%s: %s", modes[i], run.err);
		if (run.exit_status != 0)
			return run.exit_status;
		run_free(&run);
	}
	return 0;
}

static json_t *
diff(int a, int b)
{
	struct run run;
	json_error_t trouble;
	json_t *root;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", traces[a], traces[b],
					  "--format=json", NULL},
		    NULL);
	if (run.exit_status != 0)
		fail_msg("diff: status %d: %s", run.exit_status, run.err);
	assert_string_equal(run.err, "");
	root = json_loads(run.out, 0, &trouble);
	if (root == NULL)
		fail_msg("diff: line %d: %s", trouble.line, trouble.text);
	run_free(&run);
	return root;
}

static void
expect_verdict(json_t *root, const char *kind, const char *words)
{
	const char *text = json_string_value(member(member(root, "verdict"), "text"));

	assert_string_equal(json_string_value(member(root, "schema")), "vmtrace-diff/1");
	assert_string_equal(json_string_value(member(member(root, "verdict"), "kind")), kind);
	if (says(text, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, text);
}

static int64_t
delta(json_t *row, const char *figure)
{
	json_t *value = member(row, figure);

	assert_int_equal(number(value, "b") - number(value, "a"), number(value, "delta"));
	return number(value, "delta");
}

static void
expect_site(json_t *root, const char *function, const char *match, int64_t committed,
	    int64_t reserved)
{
	json_t *site = find_site(root, "mmap", function, 1);

	if (site == NULL)
		fail_msg("no row of %s", function);
	assert_string_equal(json_string_value(member(site, "match")), match);
	assert_int_equal(delta(site, "committed_bytes"), committed);
	assert_int_equal(delta(site, "reserved_bytes"), reserved);
}

/* What is left of a total's change is the libraries' and the stack's. */
static void
expect_total(json_t *root, int64_t committed, int64_t reserved)
{
	json_t *totals = member(root, "totals");
	int64_t classes = 0;
	json_t *row;
	size_t i;

	json_array_foreach(member(root, "classes"), i, row) classes +=
	    delta(row, "committed_bytes");
	assert_int_equal(classes, delta(totals, "rss_bytes"));
	assert_int_equal(delta(totals, "committed_bytes") +
			     delta(class_row(root, "vmtrace"), "committed_bytes"),
			 classes);
	assert_true(llabs(delta(totals, "committed_bytes") - committed) < MIB);
	assert_int_equal(delta(class_row(root, "mmap"), "committed_bytes"), committed);
	assert_int_equal(delta(class_row(root, "mmap"), "reserved_bytes"), reserved);
	assert_true(llabs(delta(totals, "reserved_bytes") - reserved) < MIB);
}

static void
test_more_touched(void **state)
{
	json_t *there = diff(BASE, TOUCH);
	json_t *back = diff(TOUCH, BASE);

	(void)state;
	expect_verdict(there, "more-touched",
		       "nearly all in class mmap: more of what is reserved is touched. Mostly at "
		       "reserve_arena diff_demo.c:");
	expect_verdict(there, "more-touched", "Reserved flat at 1.13 GiB, committed +6");
	expect_site(there, "reserve_arena", "exact", 64 * MIB, 0);
	expect_site(there, "reserve_index", "exact", 0, 0);
	expect_total(there, 64 * MIB, 0);
	expect_verdict(back, "less-touched", "Reserved flat at 1.13 GiB, committed -");
	expect_site(back, "reserve_arena", "exact", -64 * MIB, 0);
	json_decref(there);
	json_decref(back);
}

static void
test_grown(void **state)
{
	json_t *there = diff(BASE, GROW);
	json_t *back = diff(GROW, BASE);

	(void)state;
	expect_verdict(there, "grown", "class mmap: more is requested.");
	expect_verdict(there, "grown", "reserve_more diff_demo.c:");
	expect_site(there, "reserve_more", "new", 256 * MIB, 256 * MIB);
	expect_total(there, 256 * MIB, 256 * MIB);
	expect_verdict(back, "shrunk", "less is requested.");
	expect_site(back, "reserve_more", "gone", -256 * MIB, -256 * MIB);
	json_decref(there);
	json_decref(back);
}

static void
test_more_reserved(void **state)
{
	json_t *there = diff(BASE, RESERVE);
	json_t *back = diff(RESERVE, BASE);

	(void)state;
	expect_verdict(there, "more-reserved", "more is requested, but not touched.");
	expect_site(there, "reserve_more", "new", 0, 256 * MIB);
	expect_total(there, 0, 256 * MIB);
	expect_verdict(back, "less-reserved", "Reserved -256 MiB");
	json_decref(there);
	json_decref(back);
}

static void
test_moved(void **state)
{
	json_t *root = diff(BASE, MOVE);

	(void)state;
	expect_verdict(root, "moved", "RSS is the same (");
	expect_verdict(root, "moved", "; 64 MiB moved from reserve_arena diff_demo.c:");
	expect_verdict(root, "moved", " to reserve_index diff_demo.c:");
	assert_int_equal(number(member(root, "verdict"), "moved_bytes"), 64 * MIB);
	expect_site(root, "reserve_arena", "exact", -64 * MIB, 0);
	expect_site(root, "reserve_index", "exact", 64 * MIB, 0);
	expect_total(root, 0, 0);
	json_decref(root);
}

static void
test_same(void **state)
{
	json_t *root = diff(BASE, AGAIN);

	(void)state;
	expect_verdict(root, "same", "Nothing changed.");
	expect_total(root, 0, 0);
	json_decref(root);
}

static void
expect_status(int a, int b, const char *limits, int status, const char *words)
{
	struct run run;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", "--fail-over", limits,
					  traces[a], traces[b], NULL},
		    NULL);
	if (run.exit_status != status)
		fail_msg("%s: status %d, not %d: %s", limits, run.exit_status, status, run.err);
	if (says(run.err, words) == NULL || (*words == '\0') != (*run.err == '\0'))
		fail_msg("%s: not \"%s\": %s", limits, words, run.err);
	/* What changed is said all the same, unless nothing was compared. */
	assert_int_equal(run.out_bytes > 0, status != 2);
	run_free(&run);
}

static void
test_limits(void **state)
{
	(void)state;
	expect_status(BASE, TOUCH, "committed=10%", 1, "vmtrace: committed went from ");
	expect_status(BASE, TOUCH, "committed=10%", 1, "more than 10 %");
	expect_status(BASE, TOUCH, "committed=60MiB", 1, "more than 60 MiB");
	expect_status(BASE, TOUCH, "rss=60MiB", 1, "vmtrace: rss went from ");
	expect_status(BASE, TOUCH, "committed=68MiB,rss=68MiB", 0, "");
	expect_status(BASE, TOUCH, "committed=120%", 0, "");
	expect_status(BASE, TOUCH, "reserved=1%,committed=50%", 1, "vmtrace: committed went");
	expect_status(BASE, RESERVE, "reserved=10%,virtual=255MiB", 1, "; virtual went from ");
	expect_status(TOUCH, BASE, "committed=0%,rss=0B", 0, "");
	expect_status(BASE, TOUCH, "committed=", 2, "--fail-over: ''");
	expect_status(BASE, TOUCH, "committed=10", 2, "--fail-over: '10'");
	expect_status(BASE, TOUCH, "colour=10%", 2, "--fail-over: 'colour=10%'");
	expect_status(BASE, TOUCH, "rss=1MiB,", 2, "--fail-over: ''");
}

static void
expect_trouble(const char *const argv[], const char *words)
{
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 2);
	assert_string_equal(run.out, "");
	assert_int_equal(strncmp(run.err, "vmtrace: ", 9), 0);
	if (says(run.err, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, run.err);
	run_free(&run);
}

static void
test_bad_use(void **state)
{
	const char *vmtrace = built("vmtrace");

	(void)state;
	expect_trouble((const char *const[]){vmtrace, "diff", NULL}, "two trace files");
	expect_trouble((const char *const[]){vmtrace, "diff", traces[0], NULL}, "two trace files");
	expect_trouble((const char *const[]){vmtrace, "diff", traces[0], "/nonexistent.vmt", NULL},
		       "/nonexistent.vmt");
	expect_trouble((const char *const[]){vmtrace, "diff", "/etc/passwd", traces[0], NULL},
		       "/etc/passwd");
	expect_trouble(
	    (const char *const[]){vmtrace, "diff", "--at", "noon", traces[0], traces[1], NULL},
	    "noon");
	expect_trouble(
	    (const char *const[]){vmtrace, "diff", "--top", "few", traces[0], traces[1], NULL},
	    "few");
	expect_trouble(
	    (const char *const[]){vmtrace, "diff", "--format", "xml", traces[0], traces[1], NULL},
	    "xml");
}

static void
test_before_first_snapshot(void **state)
{
	(void)state;
	expect_trouble((const char *const[]){built("vmtrace"), "diff", "--at=1ns", traces[BASE],
					     traces[TOUCH], NULL},
		       "no snapshot as early as that: the first is at");
}

/* What a finished trace is where its chunks are cut off. */
static const char *
without_chunks(const char *trace)
{
	const char *path = scratch_file("cut.vmt");
	FILE *file = fopen(trace, "re");
	struct vmt_head head;
	struct run run;

	assert_non_null(file);
	assert_int_equal(fread(&head, sizeof(head), 1, file), 1);
	assert_int_equal(fclose(file), 0);
	run_program(&run, (const char *const[]){"cp", trace, path, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(truncate(path, (off_t)head.chunks_offset), 0);
	return path;
}

static void
test_cut_off(void **state)
{
	const char *cut = without_chunks(traces[TOUCH]);
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){built("vmtrace"), "diff", traces[BASE], cut, NULL},
		    (const char *const[]){"COLUMNS=200", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(
	    strncmp(run.out, "B is cut, so only parts of the runs are compared: B has no", 49), 0);
	assert_non_null(says(run.out, "The file is cut: "));
	assert_null(says(run.out, "unfinished"));
	/* Pages of which nothing is known are no zeros. */
	assert_null(says(run.out, " 0 B"));
	assert_null(says(run.out, "RssAnon"));
	run_free(&run);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", "--fail-over=rss=1%",
					  traces[BASE], cut, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 2);
	assert_non_null(says(run.err, "has no snapshot"));
	run_free(&run);
}

/* The first line, and the status; the message of --fail-over. */
static void
expect_run(const char *const argv[], const char *first, int status, const char *told)
{
	struct run run;

	run_program(&run, argv, (const char *const[]){"COLUMNS=4000", NULL});
	if (run.exit_status != status || says(run.err, told) == NULL)
		fail_msg("status %d, not \"%s\": %s", run.exit_status, told, run.err);
	if (strncmp(run.out, first, strlen(first)) != 0)
		fail_msg("not \"%s\" first: %s", first, run.out);
	assert_null(says(run.out, "Nothing changed"));
	run_free(&run);
}

/* A script that executes the service leaves two traces: its own is not the one to compare. */
static void
test_executed(void **state)
{
	const char *trace = scratch_file("wrapped.vmt");
	const char *const argv[] = {"sh", "-c", "exec \"$0\" base", built("tests/target/diff_demo"),
				    NULL};
	const char *vmtrace = built("vmtrace");
	char next[4200], first[4400];
	struct run run;
	json_t *root, *process;

	(void)state;
	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(trace, NULL);
	snprintf(next, sizeof(next), "%.*s.%d.vmt", (int)strlen(trace) - 4, trace,
		 (int)number(member(root, "process"), "pid"));
	json_decref(root);
	assert_int_equal(access(next, R_OK), 0);
	snprintf(first, sizeof(first),
		 "A replaced itself with another program (exec) and "
		 "continues in %s. ",
		 next);
	expect_run((const char *const[]){vmtrace, "diff", trace, traces[BASE], NULL}, first, 0, "");
	expect_run((const char *const[]){vmtrace, "diff", traces[BASE], trace,
					 "--fail-over=committed=900%", NULL},
		   "B replaced itself", 2,
		   "--fail-over: B replaced itself with another program (exec): compare the trace "
		   "of that program, ");
	run_program(&run,
		    (const char *const[]){vmtrace, "diff", trace, traces[BASE], "-f", "json", NULL},
		    NULL);
	root = json_loads(run.out, 0, NULL);
	process = member(member(root, "a"), "process");
	assert_string_equal(json_string_value(member(process, "next_trace")), next);
	assert_string_equal(json_string_value(member(process, "last_trace")), next);
	process = member(member(root, "b"), "process");
	assert_true(json_is_null(member(process, "next_trace")));
	json_decref(root);
	run_free(&run);
	run_program(&run,
		    (const char *const[]){vmtrace, "diff", next, traces[BASE],
					  "--fail-over=committed=100%", NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_null(says(run.out, "(exec)"));
	run_free(&run);
}

static void
test_after_the_end(void **state)
{
	const char *vmtrace = built("vmtrace");
	json_t *root;

	(void)state;
	expect_run(
	    (const char *const[]){vmtrace, "report", traces[BASE], "--from=1h", "--to=2h", NULL},
	    "The trace ends at ", 0, "");
	expect_run((const char *const[]){vmtrace, "report", traces[BASE], "--at=1h", NULL},
		   "The trace ends at ", 0, "");
	expect_run((const char *const[]){vmtrace, "diff", traces[BASE], traces[TOUCH], "--at=1h",
					 "--fail-over=committed=900%", NULL},
		   "A ends at ", 0, "");
	expect_run((const char *const[]){vmtrace, "diff", traces[BASE], traces[BASE],
					 "--fail-over=committed=900%", NULL},
		   "A and B are the same snapshot, at ", 2,
		   "--fail-over: A and B are the same snapshot");
	root = report(traces[BASE], (const char *const[]){"--at=1h", NULL});
	assert_true(json_is_true(member(member(root, "snapshot"), "after_end")));
	json_decref(root);
	root = report(traces[BASE], (const char *const[]){"--at=end", NULL});
	assert_true(json_is_false(member(member(root, "snapshot"), "after_end")));
	json_decref(root);
	root = diff(BASE, BASE);
	expect_verdict(root, "unknown", "there is nothing to compare.");
	json_decref(root);
}

static void
test_top_and_width(void **state)
{
	struct run run;
	const char *at;

	(void)state;
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", "--top=1", traces[BASE],
					  traces[MOVE], NULL},
		    (const char *const[]){"COLUMNS=72", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "Call sites by change of committed, 1 of 2, 0 unchanged"));
	assert_null(strchr(run.out, '\033'));
	for (at = run.out; *at; at += strcspn(at, "\n") + 1)
		assert_true(strcspn(at, "\n") <= 72);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_more_touched),  cmocka_unit_test(test_grown),
	    cmocka_unit_test(test_more_reserved), cmocka_unit_test(test_moved),
	    cmocka_unit_test(test_same),	  cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_bad_use),	  cmocka_unit_test(test_before_first_snapshot),
	    cmocka_unit_test(test_cut_off),	  cmocka_unit_test(test_executed),
	    cmocka_unit_test(test_after_the_end), cmocka_unit_test(test_top_and_width),
	};

	return cmocka_run_group_tests_name("diff", tests, make_traces, NULL);
}
