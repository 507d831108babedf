/*
 * varint.h: whole numbers in few bytes
 *
 * LEB128: 7 bits a byte, low ones first, bit 7 = more follow; at most 10 bytes and 64 bits. Signed
 * differences are folded (zigzag) so that small ones of either sign stay short. Bytes that are read
 * are untrusted: never past `end`, false on what is no varint; a longer form than needed is
 * accepted. Freestanding; thread and signal safe.
 */
#ifndef VMT_VARINT_H
#define VMT_VARINT_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_VARINT_MAX_BYTES 10u

static inline uint64_t
vmt_varint_fold(uint64_t delta)
{
	return (delta << 1) ^ (0 - (delta >> 63));
}

static inline uint64_t
vmt_varint_unfold(uint64_t value)
{
	return (value >> 1) ^ (0 - (value & 1));
}

/* The caller has made sure of VMT_VARINT_MAX_BYTES of room. Returns the byte behind. */
static inline unsigned char *
vmt_varint_put(unsigned char *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	*at++ = (unsigned char)value;
	return at;
}

/* Where `wanted`, else writes nothing that counts. Numbers below 2^28 cost the same whatever their
 * length: for those that no branch predictor foresees. Same room. */
static inline unsigned char *
vmt_varint_put_any(unsigned char *at, uint64_t value, bool wanted)
{
	uint32_t low = (uint32_t)value;
	uint32_t spread =
	    (low & 0x7f) | (low & 0x3f80) << 1 | (low & 0x1fc000) << 2 | (low & 0xfe00000) << 3;
	uint32_t more = (31 - (uint32_t)__builtin_clz(spread | 1)) / 8; /* bytes but the last */

	if (__builtin_expect(value >> 28 != 0, 0))
		return wanted ? vmt_varint_put(at, value) : at;
	spread |= UINT32_C(0x808080) & ((UINT32_C(1) << 8 * more) - 1);
	for (unsigned i = 0; i < 4; i++)
		at[i] = (unsigned char)(spread >> 8 * i);
	return at + (wanted ? more + 1 : 0);
}

/* The form of two bytes and more. */
static inline bool
vmt_varint_get_slow(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	uint64_t result = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (*at >= end)
			return false;
		byte = *(*at)++;
		if (shift == 63 && byte > 1)
			return false;
		result |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value = result;
			return true;
		}
	}
	return false;
}

static inline bool
vmt_varint_get(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	if (*at < end && **at < 0x80) {
		*value = *(*at)++;
		return true;
	}
	return vmt_varint_get_slow(at, end, value);
}

/* The eight bytes at `at`, the first one lowest, as every machine that this is built for has it. */
static inline uint64_t
vmt_varint_word(const unsigned char *at)
{
	uint64_t word;

	__builtin_memcpy(&word, at, sizeof(word));
	return word;
}

/* As vmt_varint_get, in one step for what has up to 8 bytes: for a loop over many. *at stays in a
 * register, as a copy of it is passed on. Where false, *at is as before. */
static inline bool
vmt_varint_get_wide(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	const unsigned char *from = *at;
	uint64_t word, ends;

	if (__builtin_expect(end - from >= 8, 1)) {
		word = vmt_varint_word(from);
		ends = ~word & UINT64_C(0x8080808080808080);
		if (!(word & 0x80)) {
			*value = word & 0x7f;
			*at = from + 1;
			return true;
		}
		if (__builtin_expect(ends != 0, 1)) {
			*at = from + __builtin_ctzll(ends) / 8 + 1;
			word &= (ends ^ (ends - 1)) & UINT64_C(0x7f7f7f7f7f7f7f7f);
			word = (word & UINT64_C(0x007f007f007f007f)) |
			       (word & UINT64_C(0x7f007f007f007f00)) >> 1;
			word = (word & UINT64_C(0x00003fff00003fff)) |
			       (word & UINT64_C(0x3fff00003fff0000)) >> 2;
			*value = (word & UINT64_C(0x0fffffff)) |
				 (word & UINT64_C(0x0fffffff00000000)) >> 4;
			return true;
		}
	}
	if (!vmt_varint_get(&from, end, value))
		return false;
	*at = from;
	return true;
}

static inline bool
vmt_varint_get_bounded(const unsigned char **at, const unsigned char *end, uint64_t limit,
		       uint64_t *value)
{
	return vmt_varint_get(at, end, value) && *value <= limit;
}

static inline bool
vmt_varint_get_byte(const unsigned char **at, const unsigned char *end, uint8_t *byte)
{
	if (*at >= end)
		return false;
	*byte = *(*at)++;
	return true;
}

#endif
