/* By how much a kernel's counters of RSS may be off. */
#include "collect/kernel_counters.h"

#include "format/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
threads_count_before_6_2(void **state)
{
	(void)state;
	assert_int_equal(vmt_kernel_counters_error_pages("4.19.0", 64, 1), 64);
	assert_int_equal(vmt_kernel_counters_error_pages("6.1.0-21-amd64", 2, 5), 320);
	assert_true(vmt_kernel_counters_error_pages("6.1.0", 2, VMT_FIGURE_UNKNOWN) ==
		    VMT_FIGURE_UNKNOWN);
}

static void
cpus_count_since(void **state)
{
	(void)state;
	assert_int_equal(vmt_kernel_counters_error_pages("6.2.0", 2, 500), 3 * 32 * 2);
	assert_int_equal(vmt_kernel_counters_error_pages("6.18.44-x", 16, 1), 3 * 32 * 16);
	assert_int_equal(vmt_kernel_counters_error_pages("7.0", 64, 1), 3 * 128 * 64);
	assert_true(vmt_kernel_counters_error_pages("6.8", VMT_FIGURE_UNKNOWN, 1) ==
		    VMT_FIGURE_UNKNOWN);
	assert_true(vmt_kernel_counters_error_pages("next", 2, 1) == VMT_FIGURE_UNKNOWN);
}

static uint64_t
count(const char *list)
{
	return vmt_kernel_counters_count_cpus(list, strlen(list));
}

static void
lists_of_cpus_are_counted(void **state)
{
	(void)state;
	assert_int_equal(count("0\n"), 1);
	assert_int_equal(count("0-3,8,10-11\n"), 7);
	assert_true(count("") == VMT_FIGURE_UNKNOWN);
	assert_true(count("3-1") == VMT_FIGURE_UNKNOWN);
	assert_true(count("0-") == VMT_FIGURE_UNKNOWN);
	assert_true(count("0-99999999999999") == VMT_FIGURE_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(threads_count_before_6_2),
	    cmocka_unit_test(cpus_count_since),
	    cmocka_unit_test(lists_of_cpus_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
