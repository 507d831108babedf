/*
 * free_place.h: where in a process is nothing mapped, near its code?
 *
 * By /proc/PID/maps, while the process stands. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_FREE_PLACE_H
#define VMT_FREE_PLACE_H

#include <stdint.h>
#include <sys/types.h>

/* The nearest place below `low` from which [low, high) is reached by a near jump and back.
 * -ENOMEM: there is none. */
int vmt_free_place_find(pid_t pid, uint64_t low, uint64_t high, uint64_t bytes, uint64_t *address);

#endif
