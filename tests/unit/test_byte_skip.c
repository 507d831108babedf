/*
 * test_byte_skip.c: is nothing passed by that byte_scan.h finds, and nothing read behind the end?
 */
#include "inject/byte_skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 1024u
#define ROUNDS 2000u

/* The bytes end where memory does. */
static uint8_t *
at_the_end_of_memory(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *bytes =
	    mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(bytes, MAP_FAILED);
	assert_int_equal(mprotect(bytes + page, page, PROT_NONE), 0);
	return bytes + page - BYTES;
}

enum what { PAIRS, NEITHER, WORDS, KINDS };

#define LOW UINT64_C(0x49fe64)
#define HIGH UINT64_C(0x4e7cd4)

static struct vmt_byte_scan_bounds distances;
static struct vmt_byte_scan_bounds numbers;

static uint64_t
pass_by(enum what what, const uint8_t *bytes, uint64_t at)
{
	if (what == PAIRS)
		return vmt_byte_skip_pairs(bytes, at, BYTES, 0x0f, 0x05);
	if (what == NEITHER)
		return vmt_byte_skip_neither(bytes, at, BYTES, &distances, &numbers);
	return vmt_byte_skip_words(bytes, at, BYTES, LOW, HIGH);
}

static bool
is_there(enum what what, const uint8_t *bytes, uint64_t at)
{
	if (what == PAIRS)
		return at + 2 <= BYTES && bytes[at] == 0x0f && bytes[at + 1] == 0x05;
	if (what == NEITHER)
		return at + 4 <= BYTES && (vmt_byte_scan_is_within(bytes + at, &distances) ||
					   vmt_byte_scan_is_within(bytes + at, &numbers));
	return at % 8 == 0 && at + 8 <= BYTES && vmt_byte_scan_is_word(bytes + at, LOW, HIGH);
}

/* One thing among bytes that are nothing. */
static void
put(enum what what, uint8_t *bytes, uint64_t at, unsigned *seed)
{
	static const uint8_t pair[] = {0x0f, 0x05};
	static const size_t sizes[KINDS] = {sizeof(pair), sizeof(uint32_t), sizeof(uint64_t)};
	uint64_t word = LOW + (unsigned)rand_r(seed) % (HIGH - LOW + 1);

	memset(bytes, 0x11, BYTES);
	memcpy(bytes + at, what == PAIRS ? (const void *)pair : &word, sizes[what]);
}

static void
nothing_is_passed_by(void **state)
{
	uint8_t *bytes = at_the_end_of_memory();
	uint32_t met[KINDS] = {0};
	unsigned seed = 1;

	(void)state;
	vmt_byte_scan_set_bounds(&distances, UINT32_MAX - 0xaae000, UINT32_MAX - 0x600000);
	vmt_byte_scan_set_bounds(&numbers, LOW, HIGH);
	for (unsigned round = 0; round < ROUNDS; round++) {
		enum what what = (enum what)(round % KINDS);
		uint64_t at = (unsigned)rand_r(&seed) % (BYTES / 8) * 8;
		uint64_t from = (unsigned)rand_r(&seed) % (BYTES / 8) * 8;
		uint64_t to;

		put(what, bytes, at, &seed);
		to = pass_by(what, bytes, from);
		assert_true(to >= from && to <= BYTES);
		assert_int_equal((to - from) % VMT_BYTE_SKIP_PLACES, 0);
		for (uint64_t i = from; i < to; i++)
			assert_false(is_there(what, bytes, i));
		met[what] += at >= from && to <= at;
	}
	for (uint32_t i = 0; i < KINDS; i++)
		assert_true(met[i] > 50);
}

/* A machine with such registers uses them. */
static void
most_is_passed_by(void **state)
{
	uint8_t *bytes = at_the_end_of_memory();

	(void)state;
#if defined(__x86_64__)
	if (!__builtin_cpu_supports("avx2"))
		skip();
#else
	skip();
#endif
	memset(bytes, 0x11, BYTES);
	for (uint32_t what = 0; what < KINDS; what++)
		assert_true(pass_by((enum what)what, bytes, 0) + 2 * VMT_BYTE_SKIP_PLACES >= BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_passed_by),
	    cmocka_unit_test(most_is_passed_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
