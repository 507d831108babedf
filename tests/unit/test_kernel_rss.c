/* When may what was scanned be called RSS? */
#include "tools/model/attribute/kernel_rss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGE UINT64_C(4096)

static struct vmt_snapshot_head
head_of(uint64_t before_pages, uint64_t after_pages)
{
	struct vmt_snapshot_head head;

	memset(&head, 0xff, sizeof(head));
	head.rss_before_bytes = before_pages * PAGE;
	head.rss_after_bytes = after_pages * PAGE;
	return head;
}

static void
within_the_counters_error_it_is_rss(void **state)
{
	struct vmt_snapshot_head head = head_of(1000, 1000);

	(void)state;
	head.kernel.rss_error_bytes = 64 * PAGE;
	assert_int_equal(vmt_kernel_rss_compare(&head, 1000 * PAGE).gap_bytes, 0);
	assert_int_equal(vmt_kernel_rss_compare(&head, 1064 * PAGE).gap_bytes, 0);
	assert_int_equal(vmt_kernel_rss_compare(&head, 936 * PAGE).gap_bytes, 0);
	assert_int_equal(vmt_kernel_rss_compare(&head, 1065 * PAGE).gap_bytes, PAGE);
	assert_int_equal(vmt_kernel_rss_compare(&head, 935 * PAGE).gap_bytes, PAGE);
}

static void
an_error_that_is_not_known_is_none(void **state)
{
	struct vmt_snapshot_head head = head_of(1000, 1000);

	(void)state;
	assert_int_equal(vmt_kernel_rss_compare(&head, 1000 * PAGE).gap_bytes, 0);
	assert_int_equal(vmt_kernel_rss_compare(&head, 1001 * PAGE).gap_bytes, PAGE);
}

static void
the_walk_over_page_tables_has_no_error(void **state)
{
	struct vmt_snapshot_head head = head_of(1000, 1000);

	(void)state;
	head.kernel.rss_error_bytes = 64 * PAGE;
	head.kernel.proportional_bytes = 10 * PAGE;
	assert_int_equal(vmt_kernel_rss_compare(&head, 1001 * PAGE).gap_bytes, PAGE);
	assert_int_equal(vmt_kernel_rss_compare(&head, 1000 * PAGE).gap_bytes, 0);
}

static void
parts_of_status_are_a_figure_of_their_own(void **state)
{
	struct vmt_snapshot_head head = head_of(1000, 0);
	struct vmt_kernel_rss rss;

	(void)state;
	head.kernel.anonymous_bytes = 1000 * PAGE;
	head.kernel.file_bytes = 200 * PAGE;
	head.kernel.shared_memory_bytes = 0;
	rss = vmt_kernel_rss_compare(&head, 1190 * PAGE);
	assert_int_equal(rss.least_bytes, 1000 * PAGE);
	assert_int_equal(rss.most_bytes, 1200 * PAGE);
	assert_int_equal(rss.gap_bytes, 10 * PAGE);
	head.kernel.file_bytes = VMT_FIGURE_UNKNOWN - 1;
	assert_int_equal(vmt_kernel_rss_compare(&head, 1190 * PAGE).most_bytes, 1000 * PAGE);
}

static void
without_a_figure_nothing_is_known(void **state)
{
	struct vmt_snapshot_head head = head_of(0, 0);

	(void)state;
	assert_true(vmt_kernel_rss_compare(&head, PAGE).gap_bytes == VMT_FIGURE_UNKNOWN);
	assert_true(vmt_kernel_rss_compare(&head, 0).least_bytes == VMT_FIGURE_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(within_the_counters_error_it_is_rss),
	    cmocka_unit_test(an_error_that_is_not_known_is_none),
	    cmocka_unit_test(the_walk_over_page_tables_has_no_error),
	    cmocka_unit_test(parts_of_status_are_a_figure_of_their_own),
	    cmocka_unit_test(without_a_figure_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
