/*
 * storm.h: what a storm has done so far, for somebody who outlives it.
 *
 * The storm maps a file that its witness gives it as a descriptor, and counts in it every call that
 * has returned. A store is as quick as confirming gets: nothing is between the call and the kill.
 * Each counter has one writer; the functions that it counts for are block_N and map_N, or
 * map_child.
 */
#ifndef STORM_H
#define STORM_H

#include <stdint.h>

#define STORM_THREADS 8
#define STORM_CHILDREN 16384

struct storm_child {
	int32_t pid;
	int32_t maps;
};

struct storm_witness {
	volatile uint64_t confirmed[STORM_THREADS];
	volatile uint64_t children; /* begun */
	volatile int32_t pid;	    /* of the storm */
	volatile struct storm_child child[STORM_CHILDREN];
};

#endif
