/* The table of live blocks against an array that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tools/model/space/blocks.h"

#define ADDRESS_MAX ((UINT64_C(1) << 48) - 1)

static bool
put(struct vmt_blocks *blocks, uint64_t address, uint64_t size, uint32_t site)
{
	struct vmt_block block = {address, size, site};
	struct vmt_block old;
	bool replaced;

	assert_int_equal(vmt_blocks_put(blocks, &block, &old, &replaced), 0);
	return replaced;
}

static void
put_find_take(void **state)
{
	struct vmt_blocks *blocks = vmt_blocks_new();
	struct vmt_block block;

	(void)state;
	assert_false(put(blocks, 0x1000, 24, 7));
	assert_true(vmt_blocks_find(blocks, 0x1000, &block));
	assert_int_equal(block.size, 24);
	assert_int_equal(block.site, 7);
	assert_false(vmt_blocks_find(blocks, 0x1010, &block));
	assert_false(vmt_blocks_find(blocks, 0, &block));
	assert_true(vmt_blocks_take(blocks, 0x1000, &block));
	assert_int_equal(block.size, 24);
	assert_false(vmt_blocks_take(blocks, 0x1000, &block));
	assert_int_equal(vmt_blocks_count(blocks), 0);
	assert_int_equal(vmt_blocks_bytes(blocks), 0);
	vmt_blocks_free(blocks);
}

static void
second_acquisition_gives_the_first_back(void **state)
{
	struct vmt_blocks *blocks = vmt_blocks_new();
	struct vmt_block block = {0x2000, 10, 1};
	struct vmt_block old;
	bool replaced;

	(void)state;
	put(blocks, 0x2000, 99, 5);
	assert_int_equal(vmt_blocks_put(blocks, &block, &old, &replaced), 0);
	assert_true(replaced);
	assert_int_equal(old.size, 99);
	assert_int_equal(old.site, 5);
	assert_int_equal(vmt_blocks_count(blocks), 1);
	assert_int_equal(vmt_blocks_bytes(blocks), 10);
	vmt_blocks_free(blocks);
}

static void
all_48_bits_of_address_and_size_are_kept(void **state)
{
	struct vmt_blocks *blocks = vmt_blocks_new();
	struct vmt_block block;

	(void)state;
	put(blocks, ADDRESS_MAX, ADDRESS_MAX, UINT32_MAX);
	put(blocks, 16, 0, 0);
	put(blocks, 0x7f1234567890, 0x123456789abc, 0x89abcdef);
	assert_true(vmt_blocks_find(blocks, ADDRESS_MAX, &block));
	assert_int_equal(block.address, ADDRESS_MAX);
	assert_int_equal(block.size, ADDRESS_MAX);
	assert_int_equal(block.site, UINT32_MAX);
	assert_true(vmt_blocks_find(blocks, 16, &block));
	assert_int_equal(block.size, 0);
	assert_true(vmt_blocks_find(blocks, 0x7f1234567890, &block));
	assert_int_equal(block.address, 0x7f1234567890);
	assert_int_equal(block.size, 0x123456789abc);
	assert_int_equal(block.site, 0x89abcdef);
	vmt_blocks_free(blocks);
}

static void
walk_meets_each_once(void **state)
{
	struct vmt_blocks *blocks = vmt_blocks_new();
	unsigned char seen[5000] = {0};
	struct vmt_block block;
	size_t cursor = 0;
	size_t count = 0;

	(void)state;
	for (uint64_t i = 1; i < 5000; i++)
		put(blocks, i * 32, i, (uint32_t)i);
	while (vmt_blocks_walk(blocks, &cursor, &block)) {
		assert_int_equal(seen[block.site]++, 0);
		assert_int_equal(block.address, block.site * UINT64_C(32));
		count++;
	}
	assert_int_equal(count, 4999);
	vmt_blocks_free(blocks);
}

#define KEYS 3000u

/* Few keys, so that chains are long, are broken in the middle and wrap round the end. */
static void
random_operations_equal_an_array(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 6; seed++) {
		struct vmt_blocks *blocks = vmt_blocks_new();
		static uint64_t sizes[KEYS]; /* 0 = not live */
		size_t live = 0;

		srand(seed);
		for (unsigned i = 0; i < KEYS; i++)
			sizes[i] = 0;
		for (unsigned i = 0; i < 40000; i++) {
			unsigned key = (unsigned)rand() % (seed % 2 ? KEYS : 700);
			uint64_t address = 0x55550000 + key * UINT64_C(16);
			uint64_t size = 1 + (unsigned)rand() % 5000;
			struct vmt_block block;

			if (rand() % 2) {
				assert_int_equal(put(blocks, address, size, key), sizes[key] != 0);
				live += sizes[key] == 0;
				sizes[key] = size;
			} else {
				assert_int_equal(vmt_blocks_take(blocks, address, &block),
						 sizes[key] != 0);
				if (sizes[key])
					assert_int_equal(block.size, sizes[key]);
				live -= sizes[key] != 0;
				sizes[key] = 0;
			}
			assert_int_equal(vmt_blocks_count(blocks), live);
			if (i % 1000 == 0)
				assert_true(vmt_blocks_check(blocks));
		}
		for (unsigned key = 0; key < KEYS; key++) {
			struct vmt_block block;

			assert_int_equal(
			    vmt_blocks_find(blocks, 0x55550000 + key * UINT64_C(16), &block),
			    sizes[key] != 0);
		}
		vmt_blocks_free(blocks);
	}
}

static long
peak_bytes(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss * 1024;
}

static void
a_million_blocks_come_and_go(void **state)
{
	struct vmt_blocks *blocks = vmt_blocks_new();
	long before = peak_bytes();
	struct vmt_block block;

	(void)state;
	for (uint64_t i = 1; i <= 1000000; i++)
		put(blocks, 0x7f0000000000 + i * 48, 33, (uint32_t)i);
	/* 32 bytes a block, also while the table grew */
	assert_in_range(peak_bytes() - before, 16000000, 32000000);
	assert_int_equal(vmt_blocks_count(blocks), 1000000);
	assert_int_equal(vmt_blocks_bytes(blocks), 33000000);
	for (uint64_t i = 1000000; i >= 1; i--) {
		assert_true(vmt_blocks_take(blocks, 0x7f0000000000 + i * 48, &block));
		assert_int_equal(block.site, i);
	}
	assert_int_equal(vmt_blocks_count(blocks), 0);
	assert_true(vmt_blocks_check(blocks));
	vmt_blocks_free(blocks);
}

/* The next address whose home is in this part of 256 of the table, from *at on: blocks.c's hash. */
static uint64_t
next_at_home(unsigned home, uint64_t *at)
{
	do
		*at += 16;
	while ((*at >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 56 != home);
	return *at;
}

/* Blocks of one home, of which all but the last go again: it lies far from home, behind nothing. */
static void
leave_one_far_away(struct vmt_blocks *blocks, unsigned home, uint64_t at)
{
	enum { BLOCKS = 500 }; /* 125 buckets: fewer than make the table change its hash */
	uint64_t addresses[BLOCKS];
	struct vmt_block block;

	for (unsigned i = 0; i < BLOCKS; i++) {
		addresses[i] = next_at_home(home, &at);
		assert_false(put(blocks, addresses[i], i, i));
	}
	assert_true(vmt_blocks_check(blocks));
	for (unsigned i = 0; i + 1 < BLOCKS; i++) {
		assert_true(vmt_blocks_take(blocks, addresses[i], &block));
		assert_int_equal(block.size, i);
	}
	assert_true(vmt_blocks_check(blocks));
	assert_true(vmt_blocks_find(blocks, addresses[BLOCKS - 1], &block));
}

/* A hostile trace's addresses: ways lead round the whole table, and looks end all the same. */
static void
ways_around_the_table_end(void **state)
{
	struct vmt_blocks *blocks = vmt_blocks_new();
	struct vmt_block block;
	uint64_t at = UINT64_C(1) << 40;

	(void)state;
	leave_one_far_away(blocks, 0, at);
	leave_one_far_away(blocks, 100, at);
	leave_one_far_away(blocks, 200, at);
	for (unsigned home = 0; home < 256; home++)
		assert_false(vmt_blocks_find(blocks, next_at_home(home, &at) | 1, &block));
	assert_int_equal(vmt_blocks_count(blocks), 3);
	vmt_blocks_free(blocks);
}

/* As above, but so many that each look would pass most of them. */
static void
chosen_addresses_are_spread(void **state)
{
	enum { BLOCKS = 20000 };
	struct vmt_blocks *blocks = vmt_blocks_new();
	uint64_t at = UINT64_C(1) << 40;
	struct vmt_block block;

	(void)state;
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_false(put(blocks, next_at_home(7, &at), i, i));
	assert_true(vmt_blocks_check(blocks));
	assert_in_range(vmt_blocks_passed(blocks), 0, 4 * BLOCKS);
	at = UINT64_C(1) << 40;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		assert_true(vmt_blocks_take(blocks, next_at_home(7, &at), &block));
		assert_int_equal(block.site, i);
	}
	assert_int_equal(vmt_blocks_count(blocks), 0);
	assert_true(vmt_blocks_check(blocks));
	vmt_blocks_free(blocks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(put_find_take),
	    cmocka_unit_test(second_acquisition_gives_the_first_back),
	    cmocka_unit_test(all_48_bits_of_address_and_size_are_kept),
	    cmocka_unit_test(walk_meets_each_once),
	    cmocka_unit_test(random_operations_equal_an_array),
	    cmocka_unit_test(a_million_blocks_come_and_go),
	    cmocka_unit_test(ways_around_the_table_end),
	    cmocka_unit_test(chosen_addresses_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
