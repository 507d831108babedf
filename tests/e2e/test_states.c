/*
 * test_states.c: in which state is a page that is not simply resident?
 *
 *   pages                                 reserved  in RSS  swapped  never touched  huge pages
 *   guard pages (MADV_GUARD_INSTALL)      yes       no      no       no             -
 *   under userfaultfd's write protection  yes       if there no      if not there   -
 *   shared, given up by MADV_DONTNEED     yes       no      no       no             -
 *   private, given up, once or again      yes       no      no       no             -
 *   private, beside those given up        yes       no      no       yes            -
 *   hugetlb: memfd, anonymous, System V   yes       no      no       no             those touched
 *
 * In every mode of malloc, at the peak (where it is the same) and at the end.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>

#define BYTES (INT64_C(8) << 20)
#define UNAVAILABLE 77

static const char *const modes[] = {"off", "sampled", "all"};

static int64_t
site_figure(json_t *root, const char *figure)
{
	return site_sum(root, NULL, "map_pages", figure) +
	       site_sum(root, NULL, "attach_segment", figure);
}

static json_t *
record_target(const char *what, const char *mode, const char *trace)
{
	json_t *truth = NULL;
	struct run run;

	record(&run, trace, (const char *const[]){"--malloc", mode, NULL},
	       (const char *const[]){built("tests/target/page_states"), what, NULL});
	if (run.exit_status == 0)
		truth = json_loads(run.out, 0, NULL);
	else if (run.exit_status != UNAVAILABLE)
		fail_msg("%s in %s: status %d: %s", what, mode, run.exit_status, run.err);
	run_free(&run);
	return truth;
}

static void
check_text(const char *trace, bool never, bool hugetlb)
{
	struct run run;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "report", "--at", "end", trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(says(run.out, "never touched") != NULL, never);
	assert_int_equal(says(run.out, "hugetlb") != NULL, hugetlb);
	assert_null(says(run.out, "swapped"));
	run_free(&run);
}

static void
check_state(const char *what, const char *mode)
{
	const char *trace = scratch_file("states.vmt");
	json_t *truth = record_target(what, mode, trace);
	json_t *figures, *root;

	if (!truth) {
		print_message("skip: %s is not to be had here\n", what);
		return;
	}
	figures = member(truth, "figures");
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	check_report(root);
	assert_int_equal(number(member(root, "snapshot"), "swap_bytes"), 0);
	assert_int_equal(site_figure(root, "reserved_bytes"), BYTES);
	assert_int_equal(site_figure(root, "swapped_bytes"), 0);
	assert_int_equal(site_figure(root, "committed_bytes"), number(figures, "committed"));
	assert_int_equal(site_figure(root, "never_touched_bytes"), number(figures, "never"));
	assert_int_equal(site_figure(root, "hugetlb_bytes"), number(figures, "hugetlb"));
	assert_int_equal(class_figure(root, "huge pages (hugetlb)", "hugetlb_bytes"),
			 number(figures, "hugetlb"));
	if (number(figures, "hugetlb"))
		assert_int_equal(class_figure(root, "huge pages (hugetlb)", "reserved_bytes"),
				 BYTES);
	check_text(trace, number(figures, "never") > 0, number(figures, "hugetlb") > 0);
	json_decref(root);
	json_decref(truth);
}

static void
check_modes(const char *what)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		check_state(what, modes[i]);
}

static void
test_guard_pages(void **state)
{
	(void)state;
	check_modes("guard");
}

static void
test_write_protection_markers(void **state)
{
	(void)state;
	check_modes("wp");
}

static void
test_shared_pages_given_up(void **state)
{
	(void)state;
	check_modes("shared");
}

static void
test_private_pages_given_up(void **state)
{
	(void)state;
	check_modes("private");
	check_modes("sparse");
}

static long
huge_pages(const char *write)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", write ? "w" : "r");
	long pages = -1;

	if (file && write)
		pages = fputs(write, file) < 0 ? -1 : 0;
	else if (file && fscanf(file, "%ld", &pages) != 1)
		pages = -1;
	if (file && fclose(file))
		pages = -1;
	return pages;
}

/* Lends what it needs, as root, and gives it back. */
static void
test_hugetlb_pages(void **state)
{
	long before = huge_pages(NULL);
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), "%ld", before + 8);
	if (before >= 0)
		huge_pages(text);
	check_modes("hugetlb-memfd");
	check_modes("hugetlb-anonymous");
	check_modes("hugetlb-segment");
	snprintf(text, sizeof(text), "%ld", before);
	if (before >= 0)
		huge_pages(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_guard_pages),
	    cmocka_unit_test(test_write_protection_markers),
	    cmocka_unit_test(test_shared_pages_given_up),
	    cmocka_unit_test(test_private_pages_given_up),
	    cmocka_unit_test(test_hugetlb_pages),
	};

	return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
