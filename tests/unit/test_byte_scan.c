/* 16 places at a time say what each place says alone. */
#include "inject/byte_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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
check(const uint8_t *at, uint8_t low, uint8_t span, uint32_t found[3])
{
	uint32_t distances = vmt_byte_scan_distances(at);
	uint32_t numbers = vmt_byte_scan_numbers(at, low, span);
	uint32_t pairs = vmt_byte_scan_pairs(at, 0x0f, 0x05);

	for (uint32_t i = 0; i < VMT_BYTE_SCAN_PLACES; i++) {
		const uint8_t *place = at + i;
		bool is_number =
		    vmt_byte_scan_is_number(place) && place[3] >= low && place[3] - low <= span;

		assert_int_equal(distances >> i & 1, vmt_byte_scan_is_distance(place));
		assert_int_equal(numbers >> i & 1, is_number);
		assert_int_equal(pairs >> i & 1, place[0] == 0x0f && place[1] == 0x05);
		found[0] += distances >> i & 1;
		found[1] += numbers >> i & 1;
		found[2] += pairs >> i & 1;
	}
	assert_int_equal(distances >> 16 | numbers >> 16 | pairs >> 16, 0);
}

static void
places_are_the_same(void **state)
{
	static uint8_t bytes[BYTES];
	uint32_t found[3] = {0, 0, 0};
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint8_t low = (uint8_t)(round % 5 == 0 ? 0 : rand_r(&seed));
		uint8_t span = (uint8_t)(rand_r(&seed) % (256 - low));

		fill(bytes, &seed);
		for (size_t at = VMT_BYTE_SCAN_BEFORE; at + VMT_BYTE_SCAN_ROOM <= BYTES; at++)
			check(bytes + at, low, span, found);
	}
	for (size_t i = 0; i < 3; i++)
		assert_true(found[i] > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
