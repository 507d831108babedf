#include "format/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 3720, B.4, and the usual check value. */
static void
test_known_values(void **state)
{
	unsigned char bytes[32];

	(void)state;
	assert_int_equal(vmt_checksum_update(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(vmt_checksum_update(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(vmt_checksum_update(0, bytes, 32), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		bytes[i] = (unsigned char)i;
	assert_int_equal(vmt_checksum_update(0, bytes, 32), 0x46dd794e);
	assert_int_equal(vmt_checksum_update(0, bytes, 0), 0);
}

/* The machine's instruction (long inputs) and the table (short ones) agree at any cut. */
static void
test_pieces_equal_the_whole(void **state)
{
	unsigned char bytes[3000];
	uint32_t whole;

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + (i >> 5));
	whole = vmt_checksum_update(0, bytes, sizeof(bytes));
	for (size_t step = 1; step < sizeof(bytes); step = step * 3 + 1) {
		uint32_t pieces = 0;

		for (size_t at = 0; at < sizeof(bytes); at += step) {
			size_t left = sizeof(bytes) - at;

			pieces = vmt_checksum_update(pieces, bytes + at, left < step ? left : step);
		}
		assert_int_equal(pieces, whole);
	}
}

static void
test_every_flipped_bit_shows(void **state)
{
	unsigned char bytes[300];
	uint32_t whole;

	(void)state;
	memset(bytes, 0x5a, sizeof(bytes));
	whole = vmt_checksum_update(0, bytes, sizeof(bytes));
	for (unsigned bit = 0; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_not_equal(vmt_checksum_update(0, bytes, sizeof(bytes)), whole);
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known_values),
	    cmocka_unit_test(test_pieces_equal_the_whole),
	    cmocka_unit_test(test_every_flipped_bit_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
