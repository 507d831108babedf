/*
 * standing.h: does any thread stand in certain code, or come back to it?
 *
 * By the program counters of threads that are stopped, and by the words above their stack pointers:
 * what a signal handler has interrupted lies there. Of each stack 64 KiB are looked at; a word that
 * only looks like such an address counts. x86-64 alone. Single-threaded.
 */
#ifndef VMT_STANDING_H
#define VMT_STANDING_H

#include "inject/stopped_threads.h"
#include "inject/target_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* [low, high) */
struct vmt_standing_range {
	uint64_t low;
	uint64_t high;
	bool is_occupied; /* filled in */
};

/* Ranges near to each other: a word is compared with each only where it lies between the lowest and
 * the highest of them. */
struct vmt_standing_group {
	struct vmt_standing_range *ranges;
	size_t count;
	uint64_t low; /* both filled in */
	uint64_t high;
};

/* Looks at each stack once, for all groups. 0, or negative errno: a thread could not be looked at.
 */
int vmt_standing_find(const struct vmt_target *target, const struct vmt_stopped_threads *threads,
		      struct vmt_standing_group *groups, size_t count);

#endif
