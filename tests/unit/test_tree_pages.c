/* Pages of several snapshots: what is one page is counted once. */
#include "tools/model/tree/tree_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAGE UINT64_C(4096)
#define ANONYMOUS VMT_RUN_PRESENT
#define SHARED (VMT_RUN_PRESENT | VMT_RUN_SHARED)
#define FILE_PAGE (VMT_RUN_PRESENT | VMT_RUN_FILE | VMT_RUN_SHARED)

static struct vmt_tree_pages *pages;

static int
set_up(void **state)
{
	(void)state;
	pages = vmt_tree_pages_new();
	return pages ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_tree_pages_free(pages);
	return 0;
}

/* A snapshot of one mapping with one run, in pages. */
static bool
add(uint64_t inode, uint64_t offset, uint64_t start, uint64_t count, uint32_t kind, bool is_apart)
{
	struct vmt_run run = {start * PAGE, count * PAGE, kind};
	struct vmt_snapshot_mapping mapping = {.mapping = {.start = start * PAGE,
							   .end = (start + count) * PAGE,
							   .inode = inode,
							   .file_offset = offset * PAGE},
					       .runs = 1};
	struct vmt_snapshot snapshot = {
	    .head = {.mappings = 1, .runs = 1}, .mappings = &mapping, .runs = &run};

	return vmt_tree_pages_add(pages, &snapshot, is_apart);
}

static void
assert_sums(uint64_t files, uint64_t anonymous)
{
	struct vmt_tree_page_sums sums;

	vmt_tree_pages_sum(pages, &sums);
	assert_int_equal(sums.file_bytes, files * PAGE);
	assert_int_equal(sums.anonymous_bytes, anonymous * PAGE);
}

static void
knows_files_by_place(void **state)
{
	(void)state;
	vmt_tree_pages_clear(pages);
	assert_true(add(7, 0, 100, 10, FILE_PAGE, false));
	assert_true(add(7, 5, 500, 10, FILE_PAGE, false)); /* the half of it again, elsewhere */
	assert_true(add(8, 5, 500, 10, FILE_PAGE, false)); /* of another file */
	assert_sums(25, 0);
}

static void
counts_private_pages_each(void **state)
{
	(void)state;
	vmt_tree_pages_clear(pages);
	assert_true(add(0, 0, 100, 10, ANONYMOUS, false));
	assert_true(add(0, 0, 100, 10, ANONYMOUS, false)); /* a copy */
	assert_true(add(7, 0, 100, 3, ANONYMOUS, false));  /* of a file's page */
	assert_true(add(0, 0, 200, 4, SHARED, false));
	assert_true(add(0, 0, 202, 4, SHARED, false));
	assert_true(add(0, 0, 300, 4, VMT_RUN_PRESENT | VMT_RUN_ZERO, false));
	assert_true(add(0, 0, 310, 4, VMT_RUN_SWAPPED, false));
	assert_true(add(0, 0, 320, 4, VMT_RUN_HUGETLB, false));
	assert_sums(0, 23 + 6);
}

/* What is left to one whose relatives have gone is the page that they had. */
static void
joins_what_stands_apart(void **state)
{
	(void)state;
	vmt_tree_pages_clear(pages);
	assert_true(add(0, 0, 100, 10, SHARED, false));
	assert_true(add(0, 0, 120, 10, SHARED, false));
	assert_true(add(0, 0, 105, 20, ANONYMOUS, true)); /* 10 of them in between */
	assert_true(add(0, 0, 108, 1, ANONYMOUS, true));
	assert_true(add(0, 0, 112, 2, ANONYMOUS, true)); /* of a third process: a copy */
	assert_true(add(0, 0, 400, 2, ANONYMOUS, true));
	assert_sums(0, 20 + 10 + 2 + 2);
	vmt_tree_pages_clear(pages);
	assert_sums(0, 0);
}

static void
stays_right_when_it_joins_on_the_way(void **state)
{
	(void)state;
	vmt_tree_pages_clear(pages);
	for (uint64_t i = 0; i < 5000; i++) {
		assert_true(add(9, i % 100 * 2, 100, 1, FILE_PAGE, false));
		assert_true(add(0, 0, 1000 + i * 2, 1, SHARED, false));
		assert_true(add(0, 0, 1000 + i, 1, ANONYMOUS, true));
	}
	/* 5,000 shared pages, every other of them is one of the 5,000 that stand apart. */
	assert_sums(100, 5000 + 2500);
}

static void
refuses_a_place_that_no_file_has(void **state)
{
	(void)state;
	vmt_tree_pages_clear(pages);
	assert_false(add(7, UINT64_MAX / PAGE, 100, 10, FILE_PAGE, false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(knows_files_by_place),
	    cmocka_unit_test(counts_private_pages_each),
	    cmocka_unit_test(joins_what_stands_apart),
	    cmocka_unit_test(stays_right_when_it_joins_on_the_way),
	    cmocka_unit_test(refuses_a_place_that_no_file_has),
	};

	return cmocka_run_group_tests_name("tree_pages", tests, set_up, tear_down);
}
