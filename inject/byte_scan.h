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

static inline uint32_t
vmt_byte_scan_distances(const uint8_t *at)
{
	vmt_byte_scan_bytes last = vmt_byte_scan_load(at - 1);
	vmt_byte_scan_bytes before = vmt_byte_scan_load(at - 2);

	return vmt_byte_scan_mask(
	    (vmt_byte_scan_bytes)(((last & 0xfe) == 0xe8) |
				  ((before == 0x0f) & ((last & 0xf0) == 0x80)) |
				  ((before == 0x8d) & ((last & 0xc7) == 0x05)) |
				  ((before == 0xc7) & (last == 0xf8))));
}

/* Of these, whose highest byte is one of [low, low + span]. */
static inline uint32_t
vmt_byte_scan_numbers(const uint8_t *at, uint8_t low, uint8_t span)
{
	vmt_byte_scan_bytes last = vmt_byte_scan_load(at - 1);
	vmt_byte_scan_bytes before = vmt_byte_scan_load(at - 2);

	return vmt_byte_scan_mask(
	    (vmt_byte_scan_bytes)((((last & 0xf8) == 0xb8) | (last == 0x68) | (last == 0x3d) |
				   (before == 0x81) | (before == 0xc7) |
				   (vmt_byte_scan_load(at - 3) == 0xc7) |
				   (vmt_byte_scan_load(at - 4) == 0xc7)) &
				  (vmt_byte_scan_load(at + 3) - low <= span)));
}

/* Two bytes, one behind the other. */
static inline uint32_t
vmt_byte_scan_pairs(const uint8_t *at, uint8_t first, uint8_t second)
{
	return vmt_byte_scan_mask((vmt_byte_scan_bytes)((vmt_byte_scan_load(at) == first) &
							(vmt_byte_scan_load(at + 1) == second)));
}

#else

static inline uint32_t
vmt_byte_scan_distances(const uint8_t *at)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < VMT_BYTE_SCAN_PLACES; i++)
		mask |= (uint32_t)vmt_byte_scan_is_distance(at + i) << i;
	return mask;
}

static inline uint32_t
vmt_byte_scan_numbers(const uint8_t *at, uint8_t low, uint8_t span)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < VMT_BYTE_SCAN_PLACES; i++)
		mask |= (uint32_t)(vmt_byte_scan_is_number(at + i) &&
				   (uint8_t)(at[i + 3] - low) <= span)
			<< i;
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

#endif

#endif
