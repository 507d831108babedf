/*
 * thin.h: which of the heap's events a trace keeps that must not grow
 *
 * From level L on only those blocks are recorded whose address, mixed with the trace's random id,
 * ends in L zero bits: one in 2^L, the same ones for acquisition and release, and those of a level
 * are among those of the one below. So what is recorded of a block is all or nothing, and what is
 * recorded stands for 2^L blocks. Large blocks are few and tell much: from VMT_THIN_LARGE_BYTES on
 * a block counts as VMT_THIN_LARGE_LEVELS less, and as many less with each doubling. A release that
 * says no length counts as small; the library says the length wherever it has recorded a large one.
 *
 * The level of a time is the highest one of all chunks that begin not after it (chunk.h). Thread
 * and signal safe.
 */
#ifndef VMT_THIN_H
#define VMT_THIN_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_THIN_LEVELS 64u /* the last one keeps nothing but by chance */
#define VMT_THIN_LARGE_BYTES (UINT64_C(64) << 10)
#define VMT_THIN_LARGE_LEVELS 4u
/* Of 256 KiB and more: those are thinned as well where they alone fill a trace. */
#define VMT_THIN_LARGE_MOST_LEVELS 12u

/* The level that counts for a block of this size. */
static inline uint32_t
vmt_thin_level_for(uint32_t level, uint64_t length)
{
	uint32_t less = 0;

	if (length >= VMT_THIN_LARGE_BYTES)
		less = 64u - (uint32_t)__builtin_clzll(length / VMT_THIN_LARGE_BYTES);
	less *= VMT_THIN_LARGE_LEVELS;
	less = less < VMT_THIN_LARGE_MOST_LEVELS ? less : VMT_THIN_LARGE_MOST_LEVELS;
	return level > less ? level - less : 0;
}

/* Austin Appleby's finalizer of MurmurHash3: every bit of the address changes every bit with
 * probability 1/2. */
static inline uint64_t
vmt_thin_mix(uint64_t address, uint64_t random_id)
{
	uint64_t mixed = address ^ random_id;

	mixed = (mixed ^ mixed >> 33) * UINT64_C(0xff51afd7ed558ccd);
	mixed = (mixed ^ mixed >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return mixed ^ mixed >> 33;
}

/* Whether a block is one of those that are recorded. */
static inline bool
vmt_thin_keeps(uint32_t level, uint64_t random_id, uint64_t address, uint64_t length)
{
	uint32_t counts = vmt_thin_level_for(level, length);
	uint64_t zeros = (UINT64_C(1) << (counts & 63)) - 1;

	return (vmt_thin_mix(address, random_id) & zeros) == 0;
}

#endif
