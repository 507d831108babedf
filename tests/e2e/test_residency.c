/*
 * test_residency.c: do all ways to read which pages are resident say the same?
 *
 * Each source is forced on programs that keep their own books: the same figures of every site, to
 * the page, whatever source was asked for; and the report says which one was used.
 */
#include "tests/e2e/books.h"

#include <stdio.h>
#include <string.h>

static json_t *
record_with(const char *program, const char *source, json_t **truth)
{
	const char *trace = scratch_file("residency.vmt");
	char target[256];
	struct run run;

	snprintf(target, sizeof(target), "tests/target/%s", program);
	record(&run, trace, (const char *const[]){"--malloc", "all", "--residency", source, NULL},
	       (const char *const[]){built(target), NULL});
	if (run.exit_status != 0)
		fail_msg("%s with %s: status %d: %s", program, source, run.exit_status, run.err);
	*truth = json_loads(run.out, 0, NULL);
	assert_non_null(*truth);
	run_free(&run);
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

	check_report(root);
	return root;
}

static void
check_source(const char *asked, const char *used)
{
	static const char *const programs[] = {
	    "reserve_touch", "many_maps",      "partial_munmap", "mremap_kinds",
	    "shared_memfd",  "file_half_read", "malloc_sites",	 "fixed_over_middle"};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		json_t *truth;
		json_t *root = record_with(programs[i], asked, &truth);

		assert_string_equal(json_string_value(member(member(root, "snapshot"), "source")),
				    used);
		assert_int_equal(number(member(root, "snapshot"), "skew_bytes"), 0);
		books_compare_sites(truth, root);
		json_decref(root);
		json_decref(truth);
	}
}

static void
test_pagemap(void **state)
{
	(void)state;
	check_source("pagemap", "pagemap");
}

/* Where the kernel has no PAGEMAP_SCAN (before 6.7), asking for it gives the next best. */
static const char *
best_source(void)
{
	json_t *truth;
	json_t *root = record_with("reserve_touch", "pagemap-scan", &truth);
	static char used[32];

	snprintf(used, sizeof(used), "%s",
		 json_string_value(member(member(root, "snapshot"), "source")));
	json_decref(root);
	json_decref(truth);
	return used;
}

static void
test_pagemap_scan(void **state)
{
	(void)state;
	if (strcmp(best_source(), "PAGEMAP_SCAN") != 0) {
		print_message("skip: this kernel has no PAGEMAP_SCAN\n");
		skip();
	}
	check_source("pagemap-scan", "PAGEMAP_SCAN");
}

/* mincore answers for the calling process alone: the collector, another process, takes the best
 * other source, and the report shows which. */
static void
test_mincore_falls_back(void **state)
{
	(void)state;
	check_source("mincore", best_source());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pagemap_scan),
	    cmocka_unit_test(test_pagemap),
	    cmocka_unit_test(test_mincore_falls_back),
	};

	return cmocka_run_group_tests_name("residency", tests, NULL, NULL);
}
