/*
 * test_near_place.c: do places near a program lie beside it, and within reach of all of it?
 */
#include "base/near_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BYTES 4096u
#define REACH (UINT64_C(1) << 31)

typedef uint64_t place_of(uint64_t low, uint64_t high, uint64_t bytes, uint32_t attempt);

/* How many attempts there are. */
static uint32_t
check(place_of *find, uint64_t low, uint64_t high, bool is_above)
{
	uint32_t attempt = 0;
	uint64_t place;

	for (; (place = find(low, high, BYTES, attempt)) != 0; attempt++) {
		assert_int_equal(place % VMT_NEAR_PLACE_UNIT, 0);
		if (is_above)
			assert_true(place >= high && place + BYTES - low < REACH);
		else
			assert_true(place + BYTES <= low && high - place < REACH);
	}
	return attempt;
}

static void
beside_a_library(void **state)
{
	const uint64_t low = UINT64_C(0x7f0000001000);

	(void)state;
	assert_in_range(check(vmt_near_place, low, low + 0x12345000, false), 20, 30);
	assert_in_range(check(vmt_near_place_above, low, low + 0x12345000, true), 20, 30);
	assert_int_equal(vmt_near_place_above(low, low + 0x1000, BYTES, 0),
			 (low + 0x1000 + VMT_NEAR_PLACE_UNIT) & ~(VMT_NEAR_PLACE_UNIT - 1));
}

static void
none_above_that_a_long_one_does_not_reach(void **state)
{
	const uint64_t low = UINT64_C(0x7f0000000000);

	(void)state;
	assert_int_equal(vmt_near_place_above(low, low + REACH, BYTES, 0), 0);
	assert_in_range(check(vmt_near_place_above, low, low + (UINT64_C(7) << 28), true), 10, 24);
}

/* Its break grows there. */
static void
none_above_a_low_program(void **state)
{
	(void)state;
	assert_int_equal(vmt_near_place_above(0x400000, 0x500000, BYTES, 0), 0);
	assert_true(vmt_near_place(0x400000, 0x500000, BYTES, 0) < REACH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(beside_a_library),
	    cmocka_unit_test(none_above_that_a_long_one_does_not_reach),
	    cmocka_unit_test(none_above_a_low_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
