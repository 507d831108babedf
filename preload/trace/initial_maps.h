/*
 * initial_maps.h: what anonymous memory was there before the trace began?
 *
 * One PRESENT event for each anonymous mapping in /proc/self/maps, cut up where the tracer's own
 * memory lies in it; at most 16,384. Constructor, and the opener of a fork child's trace; raw
 * system calls only. Without /proc, or with a full ring that nobody drains, the rest is left to the
 * snapshots.
 */
#ifndef VMT_INITIAL_MAPS_H
#define VMT_INITIAL_MAPS_H

#include <stdint.h>

void vmt_initial_maps_write(void);

/* One PRESENT event for memory that the tracer has mapped for itself just now, and remembers it for
 * traces of fork children. Nothing where nothing is recorded. */
void vmt_initial_maps_write_own(uint64_t start, uint64_t bytes);

#endif
