/* Where file pages may be: no false "no", whatever the range. */
#include "capture/record/file_ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static void
test_granules(void **state)
{
	uint64_t base = 16 * TIB;

	(void)state;
	assert_false(vmt_file_ranges_may_have(base, 2 * MIB));
	vmt_file_ranges_note(base + 3 * PAGE, 6 * MIB);
	for (uint64_t at = base; at < base + 6 * MIB; at += 2 * MIB)
		assert_true(vmt_file_ranges_may_have(at, PAGE));
	assert_true(vmt_file_ranges_may_have(base + 6 * MIB, PAGE));
	assert_true(vmt_file_ranges_may_have(base - GIB, 2 * GIB));
	assert_false(vmt_file_ranges_may_have(base + 8 * MIB, 2 * MIB));
	vmt_file_ranges_note(base + 100 * MIB, 0);
	assert_false(vmt_file_ranges_may_have(base + 100 * MIB, 2 * MIB));
	assert_false(vmt_file_ranges_may_have(base, 0));
}

static void
test_wrapping(void **state)
{
	(void)state;
	vmt_file_ranges_note(UINT64_MAX - 2 * PAGE, UINT64_MAX);
	assert_true(vmt_file_ranges_may_have(UINT64_MAX - PAGE, PAGE));
	assert_true(vmt_file_ranges_may_have(UINT64_MAX - PAGE, UINT64_MAX));
	assert_false(vmt_file_ranges_may_have(48 * TIB, PAGE));
	assert_true(vmt_file_ranges_may_have(0, UINT64_MAX)); /* too long to be looked up */
}

/* A long range is not spread over the granules: what lies beside it stays known. */
static void
test_long(void **state)
{
	uint64_t base = 32 * TIB;

	(void)state;
	for (int repeat = 0; repeat < 1000; repeat++)
		vmt_file_ranges_note(base, TIB);
	vmt_file_ranges_note(base + GIB, 100 * GIB);
	assert_true(vmt_file_ranges_may_have(base, PAGE));
	assert_true(vmt_file_ranges_may_have(base + TIB - PAGE, PAGE));
	assert_true(vmt_file_ranges_may_have(base - PAGE, 2 * PAGE));
	assert_true(vmt_file_ranges_may_have(base - TIB, 3 * TIB));
	assert_false(vmt_file_ranges_may_have(base + TIB, PAGE));
	assert_false(vmt_file_ranges_may_have(base - PAGE, PAGE));
}

/* Last: from here on every range counts as noted. */
static void
test_more_than_are_listed(void **state)
{
	(void)state;
	assert_false(vmt_file_ranges_may_have(60 * TIB, PAGE));
	for (uint64_t range = 0; range <= VMT_FILE_RANGES_LISTED; range++)
		vmt_file_ranges_note(64 * TIB + 2 * range * TIB, TIB + PAGE);
	for (uint64_t range = 0; range <= VMT_FILE_RANGES_LISTED; range++)
		assert_true(vmt_file_ranges_may_have(65 * TIB + 2 * range * TIB, PAGE));
	assert_true(vmt_file_ranges_may_have(60 * TIB, PAGE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_granules),
	    cmocka_unit_test(test_wrapping),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_more_than_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
