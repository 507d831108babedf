/*
 * initial_maps.h: writes down the anonymous memory that was there before the trace
 *
 * One PRESENT event for each anonymous mapping in /proc/self/maps, cut up where the tracer's own
 * memory lies in it; at most 16,384. Constructor, and the opener of a fork child's trace; raw
 * system calls only. Without /proc, or with a full ring that nobody drains, the rest is left to the
 * snapshots.
 */
#ifndef VMT_INITIAL_MAPS_H
#define VMT_INITIAL_MAPS_H

void vmt_initial_maps_write(void);

#endif
