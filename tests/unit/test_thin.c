/*
 * test_thin.c: which blocks stay when the heap's events are thinned?
 */
#include "format/thin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BLOCKS 100000u
#define RANDOM_ID UINT64_C(0x9d0b3c6a51f2e874)

static uint64_t
kept_at(uint32_t level, uint64_t length)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < BLOCKS; i++)
		kept += vmt_thin_keeps(level, RANDOM_ID, 0x7f0000000000 + i * 16, length);
	return kept;
}

/* Within five standard deviations of a binomial distribution: blocks in a row, as an allocator cuts
 * them, are as good as chosen by chance. */
static void
one_in_two_stays_at_each_level(void **state)
{
	(void)state;
	assert_int_equal(kept_at(0, 100), BLOCKS);
	for (uint32_t level = 1; level <= 10; level++) {
		double wanted = BLOCKS / (double)(1u << level);
		double difference = (double)kept_at(level, 100) - wanted;

		assert_true(difference * difference < 25 * wanted);
	}
	assert_int_equal(kept_at(VMT_THIN_LEVELS - 1, 100), 0);
}

static void
what_stays_at_a_level_stays_at_those_below(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < BLOCKS; i++) {
		uint64_t address = 0x550000000000 + i * 48;

		for (uint32_t level = 1; level < 8; level++) {
			if (vmt_thin_keeps(level, RANDOM_ID, address, 64))
				assert_true(vmt_thin_keeps(level - 1, RANDOM_ID, address, 64));
		}
	}
}

static void
large_blocks_stay_longer(void **state)
{
	(void)state;
	assert_int_equal(vmt_thin_level_for(3, VMT_THIN_LARGE_BYTES - 1), 3);
	assert_int_equal(vmt_thin_level_for(4, VMT_THIN_LARGE_BYTES), 0);
	assert_int_equal(vmt_thin_level_for(5, VMT_THIN_LARGE_BYTES), 1);
	assert_int_equal(vmt_thin_level_for(9, 2 * VMT_THIN_LARGE_BYTES - 1), 5);
	assert_int_equal(vmt_thin_level_for(9, 2 * VMT_THIN_LARGE_BYTES), 1);
	assert_int_equal(vmt_thin_level_for(VMT_THIN_LARGE_MOST_LEVELS, UINT64_MAX), 0);
	assert_int_equal(vmt_thin_level_for(22, UINT64_MAX), 22 - VMT_THIN_LARGE_MOST_LEVELS);
	assert_int_equal(kept_at(4, VMT_THIN_LARGE_BYTES), BLOCKS);
}

static void
another_trace_keeps_others(void **state)
{
	uint64_t both = 0;

	(void)state;
	for (uint64_t i = 0; i < BLOCKS; i++)
		both += vmt_thin_keeps(1, RANDOM_ID, i * 16, 8) &&
			vmt_thin_keeps(1, RANDOM_ID + 1, i * 16, 8);
	assert_in_range(both, BLOCKS / 4 - BLOCKS / 100, BLOCKS / 4 + BLOCKS / 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_in_two_stays_at_each_level),
	    cmocka_unit_test(what_stays_at_a_level_stays_at_those_below),
	    cmocka_unit_test(large_blocks_stay_longer),
	    cmocka_unit_test(another_trace_keeps_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
