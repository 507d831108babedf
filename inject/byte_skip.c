#include "inject/byte_skip.h"

#if defined(__x86_64__) && defined(__SSE2__)

#include "base/atomic.h"

#include <cpuid.h>

#define WIDE __attribute__((target("avx2")))

#define UNKNOWN 0u
#define THERE 1u
#define MISSING 2u

#define LEAF_FEATURES 7u   /* Intel SDM, CPUID */
#define SAVED_REGISTERS 6u /* XCR0: of 16 bytes, and their upper halves */

typedef uint8_t wide_bytes __attribute__((vector_size(32)));
typedef char wide_signs __attribute__((vector_size(32)));
typedef uint32_t wide_halves __attribute__((vector_size(32)));
typedef float wide_floats __attribute__((vector_size(32)));

static bool
find_wide(void)
{
	uint32_t a, b, c, d;
	uint32_t saved;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
	return (saved & SAVED_REGISTERS) == SAVED_REGISTERS &&
	       __get_cpuid_count(LEAF_FEATURES, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

static bool
is_wide(void)
{
	static uint32_t known;
	uint32_t now = vmt_atomic_load_relaxed(&known);

	if (now == UNKNOWN) {
		now = find_wide() ? THERE : MISSING;
		vmt_atomic_store_relaxed(&known, now);
	}
	return now == THERE;
}

WIDE static uint64_t
skip_pairs(const uint8_t *bytes, uint64_t at, uint64_t end, uint8_t first, uint8_t second)
{
	for (; at + VMT_BYTE_SKIP_PLACES + VMT_BYTE_SKIP_BEHIND <= end;
	     at += VMT_BYTE_SKIP_PLACES) {
		wide_bytes one;
		wide_bytes next;

		memcpy(&one, bytes + at, sizeof(one));
		memcpy(&next, bytes + at + 1, sizeof(next));
		if (__builtin_ia32_pmovmskb256((wide_signs)((one == first) & (next == second))) !=
		    0)
			break;
	}
	return at;
}

uint64_t
vmt_byte_skip_pairs(const uint8_t *bytes, uint64_t at, uint64_t end, uint8_t first, uint8_t second)
{
	return is_wide() ? skip_pairs(bytes, at, end, first, second) : at;
}

WIDE static uint64_t
skip_neither(const uint8_t *bytes, uint64_t at, uint64_t end,
	     const struct vmt_byte_scan_bounds *one, const struct vmt_byte_scan_bounds *other)
{
	for (; at + VMT_BYTE_SKIP_PLACES + VMT_BYTE_SKIP_BEHIND <= end;
	     at += VMT_BYTE_SKIP_PLACES) {
		wide_bytes high;
		wide_bytes middle;
		wide_signs found;

		memcpy(&high, bytes + at + 3, sizeof(high));
		memcpy(&middle, bytes + at + 2, sizeof(middle));
		found =
		    (wide_signs)((high - one->low[1][0] <= one->span[1][0] + (wide_bytes){0}) &
				 (middle - one->low[0][0] <= one->span[0][0] + (wide_bytes){0}));
		found |=
		    (wide_signs)((high - other->low[1][0] <= other->span[1][0] + (wide_bytes){0}) &
				 (middle - other->low[0][0] <=
				  other->span[0][0] + (wide_bytes){0}));
		if (__builtin_ia32_pmovmskb256(found) != 0)
			break;
	}
	return at;
}

uint64_t
vmt_byte_skip_neither(const uint8_t *bytes, uint64_t at, uint64_t end,
		      const struct vmt_byte_scan_bounds *one,
		      const struct vmt_byte_scan_bounds *other)
{
	return is_wide() ? skip_neither(bytes, at, end, one, other) : at;
}

/* By the lower halves alone: few have the right one. */
WIDE static uint64_t
skip_words(const uint8_t *bytes, uint64_t at, uint64_t end, uint32_t low, uint32_t span)
{
	for (; at + 2 * VMT_BYTE_SKIP_PLACES <= end; at += 2 * VMT_BYTE_SKIP_PLACES) {
		wide_floats first;
		wide_floats second;
		wide_halves lower;

		memcpy(&first, bytes + at, sizeof(first));
		memcpy(&second, bytes + at + sizeof(first), sizeof(second));
		lower = (wide_halves)__builtin_ia32_shufps256(first, second, 0x88);
		if (__builtin_ia32_pmovmskb256((wide_signs)(lower - low <= span)) != 0)
			break;
	}
	return at;
}

uint64_t
vmt_byte_skip_words(const uint8_t *bytes, uint64_t at, uint64_t end, uint64_t low, uint64_t high)
{
	return is_wide() ? skip_words(bytes, at, end, (uint32_t)low, (uint32_t)(high - low)) : at;
}

#else

uint64_t
vmt_byte_skip_pairs(const uint8_t *bytes, uint64_t at, uint64_t end, uint8_t first, uint8_t second)
{
	(void)bytes;
	(void)end;
	(void)first;
	(void)second;
	return at;
}

uint64_t
vmt_byte_skip_neither(const uint8_t *bytes, uint64_t at, uint64_t end,
		      const struct vmt_byte_scan_bounds *one,
		      const struct vmt_byte_scan_bounds *other)
{
	(void)bytes;
	(void)end;
	(void)one;
	(void)other;
	return at;
}

uint64_t
vmt_byte_skip_words(const uint8_t *bytes, uint64_t at, uint64_t end, uint64_t low, uint64_t high)
{
	(void)bytes;
	(void)end;
	(void)low;
	(void)high;
	return at;
}

#endif
