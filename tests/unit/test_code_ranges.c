/*
 * test_code_ranges.c: are the ranges of code in order and apart, also where they find no room?
 */
#include "collect/code_ranges.h"
#include "tests/soak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PAGE UINT64_C(4096)

static uint64_t random_state = 1;

static uint64_t
next_random(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static void
put(struct vmt_code_ranges *code, uint64_t page, uint64_t pages, uint64_t inode)
{
	char path[32];
	int length = snprintf(path, sizeof(path), "/memfd:%d", (int)next_random(1000));
	const struct vmt_mapping mapping = {.start = page * PAGE,
					    .end = (page + pages) * PAGE,
					    .protection = 4,
					    .inode = inode,
					    .path = path,
					    .path_bytes = (uint16_t)length};

	vmt_code_ranges_put(code, &mapping);
}

static void
assert_in_order(const struct vmt_code_ranges *code)
{
	const struct vmt_code_range *ranges = (const void *)code->ranges.bytes;

	assert_true(code->count <= VMT_CODE_RANGES);
	for (uint32_t i = 0; i < code->count; i++) {
		assert_true(ranges[i].low < ranges[i].high);
		assert_true(i == 0 || ranges[i - 1].high <= ranges[i].low);
	}
}

static void
open_empty(struct vmt_code_ranges *code)
{
	assert_true(vmt_code_ranges_open(code, 1, -1));
}

/* Full to the last range: one in the middle of another takes two more than there are. Then there is
 * room again, and the same is whole. */
static void
a_middle_finds_its_place_once_there_is_room_again(void **state)
{
	struct vmt_code_ranges code;
	const struct vmt_code_range *found;

	(void)state;
	open_empty(&code);
	for (uint64_t i = 0; i < VMT_CODE_RANGES; i++)
		put(&code, 16 + 8 * i, 7, 1);
	assert_int_equal(code.count, VMT_CODE_RANGES);
	assert_false(code.full);
	put(&code, 18, 1, 2);
	assert_true(code.full);
	assert_in_order(&code);
	put(&code, 16 + 8 * 1000, 8 * 100, 3);
	assert_int_equal(code.count, VMT_CODE_RANGES - 99);
	put(&code, 26, 1, 4);
	assert_in_order(&code);
	found = vmt_code_ranges_find(&code, 26 * PAGE);
	assert_true(found && found->inode == 4);
	found = vmt_code_ranges_find(&code, 27 * PAGE);
	assert_true(found && found->inode == 1 && found->low == 27 * PAGE &&
		    found->high == 31 * PAGE && found->file_offset == 3 * PAGE);
	vmt_code_ranges_close(&code);
}

/* Small ones, sometimes a large one that makes room; the last one put is found, or there was none
 * for it. */
static void
random_ranges_stay_in_order(void **state)
{
	const long count = soak_count(20000, 400000);
	struct vmt_code_ranges code;
	bool was_full = false;

	(void)state;
	open_empty(&code);
	for (long i = 0; i < count; i++) {
		uint64_t page = 16 + next_random(20000);
		const struct vmt_code_range *found;

		put(&code, page, 1 + next_random(next_random(50) ? 3 : 300), next_random(5));
		found = vmt_code_ranges_find(&code, page * PAGE);
		assert_true(code.full || (found && found->low == page * PAGE));
		was_full |= code.full;
		if (i % 16 == 0 || code.count == VMT_CODE_RANGES)
			assert_in_order(&code);
	}
	assert_true(was_full);
	vmt_code_ranges_close(&code);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_middle_finds_its_place_once_there_is_room_again),
	    cmocka_unit_test(random_ranges_stay_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
