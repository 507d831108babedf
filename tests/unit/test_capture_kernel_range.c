/* Which ranges the kernel takes, against the kernel; and what lies in a range, against mappings
 * that this test has made. */
#include "capture/core/guard.h"
#include "capture/record/kernel_range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)
#define UNUSED (UINT64_C(1) << 45) /* nothing is mapped around here */

static const uint64_t edges[] = {
    0,
    1,
    PAGE - 1,
    PAGE,
    PAGE + 1,
    65536,
    UNUSED,
    UNUSED + PAGE,
    (UINT64_C(1) << 47) - 2 * PAGE,
    (UINT64_C(1) << 47) - PAGE,
    (UINT64_C(1) << 47) - PAGE + 1,
    UINT64_C(1) << 47,
    UINT64_C(1) << 48,
    UINT64_C(1) << 56,
    UINT64_C(1) << 57,
    (UINT64_C(1) << 63) - PAGE,
    UINT64_C(1) << 63,
    UINT64_MAX - 2 * PAGE + 1,
    UINT64_MAX - PAGE + 1,
    UINT64_MAX - PAGE,
    UINT64_MAX,
};

#define EDGES (sizeof(edges) / sizeof(edges[0]))

/* A munmap of nothing succeeds where the kernel takes the range. Ranges with something of this
 * process in them are asked about from a child-free corner: above the last mapping and below the
 * first only what the kernel refuses is left to try. */
static void
test_takes_as_munmap(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (size_t address = 0; address < EDGES; address++) {
		for (size_t length = 0; length < EDGES; length++) {
			uint64_t rounded;
			bool takes =
			    vmt_kernel_range_takes(edges[address], edges[length], &rounded);
			bool harmless = edges[length] <= 2 * PAGE && edges[address] >= PAGE &&
					edges[address] <= UNUSED + PAGE;

			if (takes && !harmless)
				continue;
			taken += takes;
			assert_int_equal(munmap((void *)edges[address], edges[length]),
					 takes ? 0 : -1);
		}
	}
	assert_in_range(taken, 6, EDGES * EDGES);
}

static void
test_cut(void **state)
{
	uint64_t rounded = 0;

	(void)state;
	assert_true(vmt_kernel_range_cut(PAGE, UINT64_C(1) << 63, &rounded));
	assert_int_equal((rounded + PAGE) & (PAGE - 1), 0);
	assert_int_equal(munmap((void *)(PAGE + rounded), PAGE), -1); /* nothing can lie there */
	assert_true(vmt_kernel_range_takes(PAGE + rounded - PAGE, PAGE, &rounded));
	assert_true(vmt_kernel_range_cut(UNUSED, 1, &rounded));
	assert_int_equal(rounded, PAGE);
	assert_false(vmt_kernel_range_cut(UINT64_C(1) << 63, PAGE, &rounded));
	assert_false(vmt_kernel_range_cut(PAGE, UINT64_MAX, &rounded));
	assert_false(vmt_kernel_range_cut(PAGE + 1, PAGE, &rounded));
	assert_false(vmt_kernel_range_cut(PAGE, 0, &rounded));
}

static void
test_round(void **state)
{
	uint64_t rounded;

	(void)state;
	assert_true(vmt_kernel_range_round(0, PAGE, &rounded));
	assert_int_equal(rounded, 0);
	assert_true(vmt_kernel_range_round(1, PAGE, &rounded));
	assert_int_equal(rounded, PAGE);
	assert_true(vmt_kernel_range_round(UINT64_MAX - PAGE + 1, PAGE, &rounded));
	assert_int_equal(rounded, UINT64_MAX - PAGE + 1);
	assert_false(vmt_kernel_range_round(UINT64_MAX - PAGE + 2, PAGE, &rounded));
	assert_false(vmt_kernel_range_round(2, UINT64_C(1) << 63 << 0, &rounded) && rounded == 0);
}

static void *
map(uint64_t address, uint64_t length)
{
	void *range =
	    mmap((void *)address, length, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_equal(range, (void *)address);
	return range;
}

/* Mappings at every distance, and none left behind by the asking. */
static void
test_next(void **state)
{
	(void)state;
	for (uint64_t pages = 1; pages < 5000; pages += pages / 3 + 1) {
		void *range = map(UNUSED + pages * PAGE, 3 * PAGE);
		uint32_t calls = 64;

		assert_int_equal(vmt_kernel_range_next(UNUSED, UNUSED + (PAGE << 16), &calls),
				 UNUSED + pages * PAGE);
		munmap(range, 3 * PAGE);
		calls = 64;
		assert_int_equal(vmt_kernel_range_next(UNUSED, UNUSED + (PAGE << 16), &calls),
				 UNUSED + (PAGE << 16));
		assert_int_equal(calls, 63);
	}
}

static void
test_next_is_bounded(void **state)
{
	void *range = map(UNUSED + 5000 * PAGE, PAGE);
	uint32_t calls = 8;

	(void)state;
	assert_int_equal(vmt_kernel_range_next(UNUSED, UNUSED + (PAGE << 16), &calls),
			 VMT_KERNEL_RANGE_UNKNOWN);
	assert_int_equal(calls, 0);
	vmt_guard.no_syscalls = true;
	calls = 8;
	assert_int_equal(vmt_kernel_range_next(UNUSED, UNUSED + PAGE, &calls),
			 VMT_KERNEL_RANGE_UNKNOWN);
	assert_int_equal(calls, 8);
	vmt_guard.no_syscalls = false;
	munmap(range, PAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_takes_as_munmap), cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_round),	    cmocka_unit_test(test_next),
	    cmocka_unit_test(test_next_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
