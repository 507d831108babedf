/*
 * test_kernel_figures.c: does a report say of a process what the kernel counts of it?
 *
 * Private copies of file pages, page tables that outlive their pages, huge pages, and pages that
 * another process has too; compared with what is known of them, or with
 * what the program reads of itself in /proc/self/status and smaps_rollup just before it ends.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)
/* What the program's end and the tracer add between the two readings, and what the counters lag. */
#define SLACK_BYTES (2 * MIB)
#define UNAVAILABLE 77

struct told {
	struct run run;
	json_t *report;
	json_t *kernel;
	char *text;
};

/* A figure of what the program printed; both files say kB. */
static int64_t
said(const struct told *told, const char *key)
{
	const char *line = says(told->run.out, key);

	assert_non_null(line);
	return (int64_t)strtoll(line + strlen(key), NULL, 10) * 1024;
}

static void
tell(struct told *told, const char *what)
{
	const char *trace = scratch_file("kernel.vmt");
	struct run run;

	record(&told->run, trace, NULL,
	       (const char *const[]){built("tests/target/kernel_figures"), what,
				     scratch_file("model.bin"), NULL});
	if (told->run.exit_status == UNAVAILABLE)
		skip();
	assert_int_equal(told->run.exit_status, 0);
	told->report = report(trace, (const char *const[]){"--at", "end", NULL});
	check_report(told->report);
	told->kernel = member(member(told->report, "snapshot"), "kernel");
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "report", "--at", "end", trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	told->text = strdup(run.out);
	run_free(&run);
}

static void
forget(struct told *told)
{
	run_free(&told->run);
	json_decref(told->report);
	free(told->text);
}

static void
assert_near(int64_t figure, int64_t truth, int64_t slack)
{
	if (llabs(figure - truth) > slack)
		fail_msg("%" PRId64 " for %" PRId64, figure, truth);
}

static void
compare_with_status(const struct told *told)
{
	assert_near(number(told->kernel, "anonymous_bytes"), said(told, "\nRssAnon:"), SLACK_BYTES);
	assert_near(number(told->kernel, "file_bytes"), said(told, "\nRssFile:"), SLACK_BYTES);
	assert_near(number(told->kernel, "shared_memory_bytes"), said(told, "\nRssShmem:"),
		    SLACK_BYTES);
	assert_near(number(told->kernel, "page_table_bytes"), said(told, "\nVmPTE:"), MIB / 4);
	assert_int_equal(number(told->kernel, "locked_bytes"), said(told, "\nVmLck:"));
	assert_int_equal(number(told->kernel, "hugetlb_bytes"), said(told, "\nHugetlbPages:"));
	assert_non_null(strstr(told->text, "What the kernel counts\n"));
	assert_non_null(strstr(told->text, "(RssAnon)"));
	assert_non_null(strstr(told->text, "(VmPTE)"));
}

static void
private_copies_of_a_file_are_anonymous(void **state)
{
	struct told told;

	(void)state;
	tell(&told, "file");
	compare_with_status(&told);
	assert_near(number(told.kernel, "anonymous_bytes"), 4 * MIB, SLACK_BYTES);
	/* 12 MiB of the one mapping, 8 MiB of the other, and the program's own files. */
	assert_true(number(told.kernel, "file_bytes") >= 20 * MIB - SLACK_BYTES);
	assert_null(strstr(told.text, "Page tables take another"));
	forget(&told);
}

static void
page_tables_larger_than_rss_are_named_first(void **state)
{
	struct told told;
	const char *first;

	(void)state;
	tell(&told, "tables");
	compare_with_status(&told);
	assert_true(number(told.kernel, "page_table_bytes") >= 4000 * 4096);
	first = strstr(told.text, "Page tables take another");
	assert_non_null(first);
	assert_true(first < strstr(told.text, "The whole address space"));
	forget(&told);
}

static void
huge_pages_that_make_rss_are_named_first(void **state)
{
	struct told told;
	json_t *huge;

	(void)state;
	tell(&told, "huge");
	compare_with_status(&told);
	huge = member(member(told.report, "snapshot"), "huge_bytes");
	/* The kernel may be short of them, and on older ones the figure is not always read. */
	if (json_is_null(huge) || said(&told, "\nAnonHugePages:") < 24 * MIB) {
		forget(&told);
		skip();
	}
	assert_int_equal(json_integer_value(huge), said(&told, "\nAnonHugePages:"));
	assert_non_null(strstr(told.text, "of RSS is in huge pages (THP)"));
	assert_non_null(strstr(told.text, "of RSS in huge pages (THP)"));
	forget(&told);
}

/* What is in both processes, page by page and class by class, while both stand still. */
static void
shared_pages_are_told_by_class(void **state)
{
	const char *trace = scratch_file("sharing.vmt");
	struct conversation *talk = calloc(1, sizeof(*talk));
	struct run text;
	json_t *root, *row;

	(void)state;
	assert_non_null(talk);
	converse_start(talk, (const char *const[]){built("tests/target/sharing"), NULL},
		       preloaded(trace));
	converse_read_line(talk);
	living_snapshot(trace);
	root = report(trace, NULL);
	run_program(&text, (const char *const[]){built("vmtrace"), "report", trace, NULL}, NULL);
	assert_int_equal(converse_end(talk), 0);
	check_report(root);
	row = class_row(root, "mmap");
	assert_int_equal(number(row, "committed_bytes"), 32 * MIB);
	assert_int_equal(number(row, "shared_bytes"), 20 * MIB);
	assert_int_equal(number(row, "private_bytes"), 12 * MIB);
	row = class_row(root, "shared memory");
	assert_int_equal(number(row, "shared_bytes"), 8 * MIB);
	assert_int_equal(number(row, "private_bytes"), 0);
	assert_true(number(member(root, "snapshot"), "shared_bytes") >= 28 * MIB);
	assert_non_null(says(text.out, " of RSS is shared: mapped more than once"));
	assert_non_null(says(text.out, "  shared 20 MiB\n"));
	json_decref(root);
	run_free(&text);
	free(talk);
}

static void
check_lock(json_t *locks, const char *call, int64_t calls, int64_t bytes)
{
	int64_t seen_calls = 0;
	int64_t seen_bytes = 0;
	json_t *row;
	size_t i;

	json_array_foreach(locks, i, row)
	{
		if (strcmp(json_string_value(member(row, "call")), call) != 0)
			continue;
		seen_calls += number(row, "calls");
		seen_bytes += number(row, "bytes");
		assert_string_equal(
		    json_string_value(member(json_array_get(member(row, "frames"), 0), "function")),
		    "lock_ranges");
	}
	assert_int_equal(seen_calls, calls);
	assert_int_equal(seen_bytes, bytes);
}

/* By calls that were not refused, each kind by itself. */
static void
what_locked_memory_is_named(void **state)
{
	struct told told;

	(void)state;
	tell(&told, "locked");
	compare_with_status(&told);
	assert_int_equal(number(told.kernel, "locked_bytes"), 3 * MIB);
	check_lock(member(told.report, "locks"), "mlock", 2, 4 * MIB);
	check_lock(member(told.report, "locks"), "mlock2(MLOCK_ONFAULT)", 1, MIB);
	assert_non_null(strstr(told.text, "       3 MiB  address space locked in RAM (VmLck)\n"
					  "              by mlock lock_ranges kernel_figures.c:"));
	assert_non_null(strstr(told.text, " by mlock2(MLOCK_ONFAULT) lock_ranges kernel_fig"));
	forget(&told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(private_copies_of_a_file_are_anonymous),
	    cmocka_unit_test(page_tables_larger_than_rss_are_named_first),
	    cmocka_unit_test(huge_pages_that_make_rss_are_named_first),
	    cmocka_unit_test(shared_pages_are_told_by_class),
	    cmocka_unit_test(what_locked_memory_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
