/*
 * near_place.h: where may a mapping lie that a program's code reaches by a near jump?
 *
 * Within 2 GiB, and where the program itself maps nothing. A program that was linked for a low
 * fixed address may map others below itself, and its break grows above it: it gets the upper end of
 * those 2 GiB first. Elsewhere the kernel maps downwards from the program on: right below it.
 */
#ifndef VMT_NEAR_PLACE_H
#define VMT_NEAR_PLACE_H

#include <stdint.h>

#define VMT_NEAR_PLACE_UNIT (UINT64_C(64) << 10)
#define VMT_NEAR_PLACE_LOW (UINT64_C(1) << 30)	 /* programs that end below it are low */
#define VMT_NEAR_PLACE_HIGH UINT64_C(0x7fff0000) /* reached from all of them */
#define VMT_NEAR_PLACE_HIGH_TRIES 8u

/* The attempt'th place for so many bytes near [low, high); 0: there is none any more. */
static inline uint64_t
vmt_near_place(uint64_t low, uint64_t high, uint64_t bytes, uint32_t attempt)
{
	uint64_t step = VMT_NEAR_PLACE_UNIT;

	if (high <= VMT_NEAR_PLACE_LOW && attempt < VMT_NEAR_PLACE_HIGH_TRIES)
		return (VMT_NEAR_PLACE_HIGH - (attempt << 24) - bytes) & ~(VMT_NEAR_PLACE_UNIT - 1);
	if (high <= VMT_NEAR_PLACE_LOW)
		attempt -= VMT_NEAR_PLACE_HIGH_TRIES;
	while (attempt-- > 0 && step < VMT_NEAR_PLACE_LOW)
		step += step / 2;
	if (step >= VMT_NEAR_PLACE_LOW || step + bytes >= low)
		return 0;
	return (low - step - bytes) & ~(VMT_NEAR_PLACE_UNIT - 1);
}

/* ... of places above, for a program that is not low: of one the break grows there. */
static inline uint64_t
vmt_near_place_above(uint64_t low, uint64_t high, uint64_t bytes, uint32_t attempt)
{
	uint64_t step = VMT_NEAR_PLACE_UNIT;
	uint64_t place;

	while (attempt-- > 0 && step < VMT_NEAR_PLACE_LOW)
		step += step / 2;
	if (high <= VMT_NEAR_PLACE_LOW || step >= VMT_NEAR_PLACE_LOW)
		return 0;
	place = (high + step) & ~(VMT_NEAR_PLACE_UNIT - 1);
	return place >= high && place + bytes - low <= VMT_NEAR_PLACE_HIGH ? place : 0;
}

#endif
