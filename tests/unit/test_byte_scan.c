/* 16 places at a time say what each place says alone. */
#include "inject/byte_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES 4096u
#define ROUNDS 40u

/* Bytes that are looked for come often. */
static void
fill(uint8_t bytes[BYTES], unsigned *seed)
{
	static const uint8_t some[] = {0x0f, 0x05, 0x80, 0x8f, 0x8d, 0x3d, 0xc7, 0xf8, 0xe8, 0xe9,
				       0xb8, 0xbf, 0x68, 0x81, 0x40, 0x00, 0x01, 0xff, 0xea, 0x15};

	for (size_t i = 0; i < BYTES; i++) {
		int random = rand_r(seed);

		bytes[i] = random % 4 == 0 ? (uint8_t)(random >> 8)
					   : some[(unsigned)(random >> 8) % sizeof(some)];
	}
}

static void
check(const uint8_t *at, const uint32_t low[2], const uint32_t high[2], uint32_t found[3])
{
	struct vmt_byte_scan_bounds one;
	struct vmt_byte_scan_bounds other;
	uint32_t pairs = vmt_byte_scan_pairs(at, 0x0f, 0x05);
	uint32_t either;

	vmt_byte_scan_set_bounds(&one, low[0], high[0]);
	vmt_byte_scan_set_bounds(&other, low[1], high[1]);
	either = vmt_byte_scan_either(at, &one, &other);
	for (uint32_t i = 0; i < VMT_BYTE_SCAN_PLACES; i++) {
		uint32_t number;

		memcpy(&number, at + i, sizeof(number));
		assert_int_equal(either >> i & 1, vmt_byte_scan_is_within(at + i, &one) ||
						      vmt_byte_scan_is_within(at + i, &other));
		if (number - low[0] <= high[0] - low[0] || number - low[1] <= high[1] - low[1]) {
			assert_int_equal(either >> i & 1, 1);
			found[2]++;
		}
		assert_int_equal(pairs >> i & 1, at[i] == 0x0f && at[i + 1] == 0x05);
		found[0] += either >> i & 1;
		found[1] += pairs >> i & 1;
	}
	assert_int_equal(either >> 16 | pairs >> 16, 0);
}

/* Some of a few bytes, some of a part of the numbers, some around 0, some of nearly all. */
static uint32_t
some_span(unsigned round, unsigned *seed)
{
	static const uint32_t spans[] = {0, 0x4de70, 0xffffff, 0x1000000, 0x12345678, UINT32_MAX};

	return round % 2 == 0 ? spans[round / 2 % 6] : (uint32_t)rand_r(seed) * 2;
}

static void
places_are_the_same(void **state)
{
	static uint8_t bytes[BYTES];
	uint32_t found[3] = {0, 0, 0};
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t low[2] = {(uint32_t)rand_r(&seed) * 2,
				   round % 3 == 0 ? 0 - (round << 12) : 0x490000};
		uint32_t high[2] = {low[0] + some_span(round, &seed),
				    low[1] + some_span(round + 1, &seed)};

		fill(bytes, &seed);
		for (size_t at = VMT_BYTE_SCAN_BEFORE; at + VMT_BYTE_SCAN_ROOM <= BYTES; at++)
			check(bytes + at, low, high, found);
	}
	for (size_t i = 0; i < 3; i++)
		assert_true(found[i] > 1000);
	assert_true(found[0] < ROUNDS * BYTES * VMT_BYTE_SCAN_PLACES);
}

/* Words around both bounds, with each half at and beside its own. */
static void
words_are_the_same(void **state)
{
	static const uint64_t bounds[][2] = {{0x49fe64, 0x4e7cd4},
					     {0x80000000, 0x80000000},
					     {0, UINT32_MAX},
					     {0x7fff12345678, 0x7fffffffffff},
					     {UINT64_MAX - 100, UINT64_MAX}};
	static const uint64_t near[] = {
	    0, 1, UINT64_MAX, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(3) << 31};
	uint32_t found = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]) * 6 * 6; i++) {
		const uint64_t *bound = bounds[i / 36];
		uint64_t words[VMT_BYTE_SCAN_WORDS] = {bound[0] + near[i % 6],
						       bound[1] + near[i / 6 % 6],
						       bound[0] - near[i / 6 % 6], near[i % 6]};
		uint32_t mask = vmt_byte_scan_words((const void *)words, bound[0], bound[1]);

		for (uint32_t k = 0; k < VMT_BYTE_SCAN_WORDS; k++)
			assert_int_equal(mask >> k & 1,
					 words[k] >= bound[0] && words[k] <= bound[1]);
		assert_int_equal(mask >> VMT_BYTE_SCAN_WORDS, 0);
		found += (uint32_t)__builtin_popcount(mask);
	}
	assert_true(found > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places_are_the_same),
	    cmocka_unit_test(words_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
