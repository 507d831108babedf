#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "tools/read/trace/zstd.h"

#define RAW_BYTES 5000u

static unsigned char raw[RAW_BYTES];
static unsigned char packed[RAW_BYTES + 1000];
static unsigned char back[RAW_BYTES];

static size_t
pack(void)
{
	size_t length;

	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (unsigned char)(i / 7);
	length = vmt_zstd_compress(NULL, packed, sizeof(packed), raw, sizeof(raw));
	assert_true(length > 0 && length < sizeof(raw));
	return length;
}

static void
comes_back_whole(void **state)
{
	size_t length = pack();

	(void)state;
	assert_true(vmt_zstd_claims(packed, length, sizeof(raw)));
	assert_true(vmt_zstd_decompress(back, sizeof(back), packed, length));
	assert_memory_equal(back, raw, sizeof(raw));
}

static void
packs_again_and_again_with_one_packer(void **state)
{
	struct vmt_zstd_packer *packer = vmt_zstd_packer_new();
	static unsigned char again[sizeof(packed)];
	size_t length = pack();

	(void)state;
	assert_non_null(packer);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vmt_zstd_compress(packer, again, sizeof(again), raw, sizeof(raw)),
				 length);
		assert_memory_equal(again, packed, length);
		assert_int_equal(vmt_zstd_compress(packer, again, 4, raw, sizeof(raw)), 0);
	}
	vmt_zstd_packer_free(packer);
}

static void
says_zero_where_nothing_is_gained(void **state)
{
	unsigned char noise[64];
	unsigned seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++) {
		seed = seed * 1103515245 + 12345;
		noise[i] = (unsigned char)(seed >> 16);
	}
	assert_int_equal(vmt_zstd_compress(NULL, packed, sizeof(packed), noise, sizeof(noise)), 0);
	assert_int_equal(vmt_zstd_compress(NULL, packed, 4, raw, sizeof(raw)), 0);
	assert_int_equal(vmt_zstd_compress(NULL, packed, sizeof(packed), raw, 0), 0);
}

static void
refuses_another_size(void **state)
{
	size_t length = pack();

	(void)state;
	assert_false(vmt_zstd_claims(packed, length, sizeof(raw) - 1));
	assert_false(vmt_zstd_claims(packed, length, sizeof(raw) + 1));
	assert_false(vmt_zstd_decompress(back, sizeof(back) - 1, packed, length));
	assert_false(vmt_zstd_decompress(back, sizeof(back), packed, length - 1));
	assert_false(vmt_zstd_decompress(back, sizeof(back), packed, length + 1));
}

static void
survives_damage_at_every_byte(void **state)
{
	size_t length = pack();
	unsigned refused = 0;

	(void)state;
	for (size_t i = 0; i < length; i++) {
		packed[i] ^= 0xff;
		if (!vmt_zstd_decompress(back, sizeof(back), packed, length))
			refused++;
		packed[i] ^= 0xff;
	}
	assert_true(refused > 0);
	assert_true(vmt_zstd_decompress(back, sizeof(back), packed, length));
}

#define TIMES 20000u

/* The payload's length, or 0: some time it did not come back whole. */
static void *
unpack_again_and_again(void *argument)
{
	static _Thread_local unsigned char mine[sizeof(raw)];
	size_t *length = argument;

	for (unsigned i = 0; i < TIMES && *length != 0; i++) {
		memset(mine, 0, sizeof(mine));
		if (vmt_zstd_decompress(mine, sizeof(mine), packed, *length - 1) ||
		    !vmt_zstd_decompress(mine, sizeof(mine), packed, *length) ||
		    memcmp(mine, raw, sizeof(raw)) != 0)
			*length = 0;
	}
	return NULL;
}

static void
unpacks_in_several_threads(void **state)
{
	size_t lengths[3];
	pthread_t threads[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		lengths[i] = pack();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, unpack_again_and_again, &lengths[i]), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_not_equal(lengths[i], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(comes_back_whole),
	    cmocka_unit_test(unpacks_in_several_threads),
	    cmocka_unit_test(packs_again_and_again_with_one_packer),
	    cmocka_unit_test(says_zero_where_nothing_is_gained),
	    cmocka_unit_test(refuses_another_size),
	    cmocka_unit_test(survives_damage_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
