/*
 * file_ranges.h: ranges that may have file pages or shared ones
 *
 * Granules of 2 MiB are remembered as one bit of a table; a range of many granules as itself, in a
 * list. Nothing is ever taken out, and granules may share a bit: so "yes" may be wrong, which costs
 * whoever asks time, and "no" never is. Once the list is full the answer is "yes" to everything.
 *
 * Units: bytes; any address and length, no sum wraps. Bounded in time. Lock-free,
 * async-signal-safe. Relaxed order: a thread that asks about a range has learnt of its mapping from
 * the thread that made it.
 */
#ifndef VMT_FILE_RANGES_H
#define VMT_FILE_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_FILE_RANGES_GRANULE_BYTES (UINT64_C(1) << 21)

/* A longer range goes into the list. */
#define VMT_FILE_RANGES_LONG_BYTES (UINT64_C(1) << 30)
#define VMT_FILE_RANGES_LISTED 32u

void vmt_file_ranges_note(uint64_t address, uint64_t length);
bool vmt_file_ranges_may_have(uint64_t address, uint64_t length);

#endif
