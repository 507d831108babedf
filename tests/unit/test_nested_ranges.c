/* The innermost range around a place, against looking at all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tools/read/symbols/nested_ranges.h"

#define RANGES 60u
#define PLACES 200u

static void
innermost_is_the_last_to_begin(void **state)
{
	(void)state;
	srand(1);
	for (unsigned round = 0; round < 50; round++) {
		struct vmt_nested_ranges ranges = {0};

		for (unsigned i = 0; i < RANGES; i++) {
			uint64_t start = 1 + (uint64_t)rand() % PLACES;
			uint64_t length = 1 + (uint64_t)rand() % (i % 3 ? 5 : 60);

			assert_true(vmt_nested_ranges_add(
			    &ranges, (struct vmt_range){.start = start, .end = start + length}));
		}
		vmt_nested_ranges_settle(&ranges);
		for (uint64_t place = 0; place < PLACES + 70; place++) {
			const struct vmt_range *found = vmt_nested_ranges_find(&ranges, place);

			for (size_t i = ranges.count; i-- > 0;) {
				const struct vmt_range *range = &ranges.items[i];

				if (place < range->start || place >= range->end)
					continue;
				assert_ptr_equal(found, range);
				found = vmt_nested_ranges_around(&ranges, found, place);
			}
			assert_null(found);
		}
		free(ranges.items);
	}
}

static void
leaves_out_what_is_empty_or_begins_at_zero(void **state)
{
	struct vmt_nested_ranges ranges = {0};

	(void)state;
	assert_null(vmt_nested_ranges_find(&ranges, 5));
	assert_true(vmt_nested_ranges_add(&ranges, (struct vmt_range){.start = 0, .end = 10}));
	assert_true(vmt_nested_ranges_add(&ranges, (struct vmt_range){.start = 5, .end = 5}));
	assert_true(vmt_nested_ranges_add(&ranges, (struct vmt_range){.start = 9, .end = 5}));
	assert_int_equal(ranges.count, 0);
	free(ranges.items);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(innermost_is_the_last_to_begin),
	    cmocka_unit_test(leaves_out_what_is_empty_or_begins_at_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
