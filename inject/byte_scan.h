/*
 * byte_scan.h: at which of 16 places stand certain bytes?
 *
 * All code of a program is looked through byte by byte when it starts: 16 places at a time. Bit i
 * of a mask is for the place `at + i`; the bytes at [at - 4, at + 20) are read. Where the machine
 * has no such instructions each place is asked alone. Pure.
 */
#ifndef VMT_BYTE_SCAN_H
#define VMT_BYTE_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VMT_BYTE_SCAN_PLACES 16u
#define VMT_BYTE_SCAN_BEFORE 4u
#define VMT_BYTE_SCAN_ROOM 20u
#define VMT_BYTE_SCAN_WORDS 4u

/* What the two highest bytes of 4 may be: each at least `low`, and at most `span` more. Each stands
 * 16 times, for 16 places. */
struct vmt_byte_scan_bounds {
	uint8_t low[2][VMT_BYTE_SCAN_PLACES]; /* [1]: of the highest */
	uint8_t span[2][VMT_BYTE_SCAN_PLACES];
} __attribute__((aligned(16)));

/* No number is left out that is at least `low` and at most `high`, counted on from `low` also
 * beyond the largest one. */
static inline void
vmt_byte_scan_set_bounds(struct vmt_byte_scan_bounds *bounds, uint32_t low, uint32_t high)
{
	uint8_t span = (uint8_t)((high >> 24) - (low >> 24));
	bool is_wide = high - low >= UINT32_MAX - (UINT32_C(1) << 24);
	bool is_narrow = span == 0 && !is_wide;

	memset(bounds->low[1], (int)(low >> 24), VMT_BYTE_SCAN_PLACES);
	memset(bounds->span[1], is_wide ? UINT8_MAX : span, VMT_BYTE_SCAN_PLACES);
	memset(bounds->low[0], is_narrow ? low >> 16 & UINT8_MAX : 0, VMT_BYTE_SCAN_PLACES);
	memset(bounds->span[0], is_narrow ? ((high >> 16) - (low >> 16)) & UINT8_MAX : UINT8_MAX,
	       VMT_BYTE_SCAN_PLACES);
}

static inline bool
vmt_byte_scan_is_within(const uint8_t *at, const struct vmt_byte_scan_bounds *bounds)
{
	return (uint8_t)(at[3] - bounds->low[1][0]) <= bounds->span[1][0] &&
	       (uint8_t)(at[2] - bounds->low[0][0]) <= bounds->span[0][0];
}

static inline bool
vmt_byte_scan_is_word(const uint8_t *at, uint64_t low, uint64_t high)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word - low <= high - low;
}

/* Branches, calls and computed addresses have an opcode right before their 4 bytes: e8, e9, 0f 80
 * to 0f 8f; c7 f8; 8d and a ModRM byte for an address relative to the next instruction. */
static inline bool
vmt_byte_scan_is_distance(const uint8_t *at)
{
	uint8_t last = at[-1];

	if (last == 0xe8 || last == 0xe9)
		return true;
	return (at[-2] == 0x0f && (last & 0xf0) == 0x80) ||
	       (at[-2] == 0x8d && (last & 0xc7) == 5) || (at[-2] == 0xc7 && last == 0xf8);
}

/* Code that holds an address as a number: mov to a register, push, cmp, and mov to memory, whose
 * operand takes up to 3 bytes. */
static inline bool
vmt_byte_scan_is_number(const uint8_t *at)
{
	return (at[-1] & 0xf8) == 0xb8 || at[-1] == 0x68 || at[-1] == 0x3d || at[-2] == 0x81 ||
	       at[-2] == 0xc7 || at[-3] == 0xc7 || at[-4] == 0xc7;
}

#if defined(__SSE2__)

typedef uint8_t vmt_byte_scan_bytes __attribute__((vector_size(16)));

static inline vmt_byte_scan_bytes
vmt_byte_scan_load(const uint8_t *at)
{
	vmt_byte_scan_bytes bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

/* Bit i: whether byte i is not 0; each is 0 or 255. */
static inline uint32_t
vmt_byte_scan_mask(vmt_byte_scan_bytes found)
{
	typedef char signed_bytes __attribute__((vector_size(16)));

	return (uint32_t)__builtin_ia32_pmovmskb128((signed_bytes)found);
}

static inline vmt_byte_scan_bytes
vmt_byte_scan_within(vmt_byte_scan_bytes high, vmt_byte_scan_bytes middle,
		     const struct vmt_byte_scan_bounds *bounds)
{
	high -= vmt_byte_scan_load(bounds->low[1]);
	middle -= vmt_byte_scan_load(bounds->low[0]);
	return (vmt_byte_scan_bytes)((high <= vmt_byte_scan_load(bounds->span[1])) &
				     (middle <= vmt_byte_scan_load(bounds->span[0])));
}

/* Whether the 4 bytes there are within one of both bounds. */
static inline uint32_t
vmt_byte_scan_either(const uint8_t *at, const struct vmt_byte_scan_bounds *one,
		     const struct vmt_byte_scan_bounds *other)
{
	vmt_byte_scan_bytes high = vmt_byte_scan_load(at + 3);
	vmt_byte_scan_bytes middle = vmt_byte_scan_load(at + 2);

	return vmt_byte_scan_mask(vmt_byte_scan_within(high, middle, one) |
				  vmt_byte_scan_within(high, middle, other));
}

/* Bit i: whether word i of the 4 that begin at `at`, of 8 bytes each, is one of [low, high]; both
 * have the same higher half. The lower halves are asked first: few have the right one. */
static inline uint32_t
vmt_byte_scan_words(const uint8_t *at, uint64_t low, uint64_t high)
{
	typedef uint32_t halves __attribute__((vector_size(16)));
	typedef float floats __attribute__((vector_size(16)));
	halves lower = (halves)__builtin_ia32_shufps((floats)vmt_byte_scan_load(at),
						     (floats)vmt_byte_scan_load(at + 16), 0x88);
	uint32_t mask = 0;

	if (vmt_byte_scan_mask(
		(vmt_byte_scan_bytes)(lower - (uint32_t)low <= (uint32_t)(high - low))) == 0)
		return 0;
	for (uint32_t i = 0; i < VMT_BYTE_SCAN_WORDS; i++)
		mask |= (uint32_t)vmt_byte_scan_is_word(at + i * 8, low, high) << i;
	return mask;
}

/* Two bytes, one behind the other. */
static inline uint32_t
vmt_byte_scan_pairs(const uint8_t *at, uint8_t first, uint8_t second)
{
	return vmt_byte_scan_mask((vmt_byte_scan_bytes)((vmt_byte_scan_load(at) == first) &
							(vmt_byte_scan_load(at + 1) == second)));
}

/* The opcode of lea and a ModRM byte for an address relative to the next instruction. */
static inline uint32_t
vmt_byte_scan_leas(const uint8_t *at)
{
	vmt_byte_scan_bytes modes = vmt_byte_scan_load(at + 1) & 0xc7;

	return vmt_byte_scan_mask(
	    (vmt_byte_scan_bytes)((vmt_byte_scan_load(at) == 0x8d) & (modes == 5)));
}

#else

static inline uint32_t
vmt_byte_scan_either(const uint8_t *at, const struct vmt_byte_scan_bounds *one,
		     const struct vmt_byte_scan_bounds *other)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < VMT_BYTE_SCAN_PLACES; i++)
		mask |= (uint32_t)(vmt_byte_scan_is_within(at + i, one) ||
				   vmt_byte_scan_is_within(at + i, other))
			<< i;
	return mask;
}

static inline uint32_t
vmt_byte_scan_words(const uint8_t *at, uint64_t low, uint64_t high)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < VMT_BYTE_SCAN_WORDS; i++)
		mask |= (uint32_t)vmt_byte_scan_is_word(at + i * 8, low, high) << i;
	return mask;
}

static inline uint32_t
vmt_byte_scan_pairs(const uint8_t *at, uint8_t first, uint8_t second)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < VMT_BYTE_SCAN_PLACES; i++)
		mask |= (uint32_t)(at[i] == first && at[i + 1] == second) << i;
	return mask;
}

static inline uint32_t
vmt_byte_scan_leas(const uint8_t *at)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < VMT_BYTE_SCAN_PLACES; i++)
		mask |= (uint32_t)(at[i] == 0x8d && (at[i + 1] & 0xc7) == 5) << i;
	return mask;
}

#endif

#endif
