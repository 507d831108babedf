/*
 * free_place.h: where in a process is nothing mapped, near its code?
 *
 * By /proc/PID/maps, while the process stands. A near jump reaches 2 GiB to both sides
 * (a displacement of 32 bits). What the stack and the break may grow into stays free; so do gaps
 * within the file, which go with it when it is unloaded. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_FREE_PLACE_H
#define VMT_FREE_PLACE_H

#include <stdint.h>
#include <sys/types.h>

#define VMT_FREE_PLACE_REACH_BYTES ((UINT64_C(2) << 30) - VMT_FREE_PLACE_UNIT)
#define VMT_FREE_PLACE_UNIT (UINT64_C(64) << 10)       /* alignment; and left free on both sides */
#define VMT_FREE_PLACE_BREAK_BYTES (UINT64_C(1) << 30) /* left free above [heap] */

struct vmt_free_place {
	uint64_t low; /* [low, high): the file */
	uint64_t high;
	uint64_t bytes;	      /* wanted */
	uint64_t stack_bytes; /* that [stack] may have, RLIMIT_STACK; at most 1 GiB is left to it */
};

/* The nearest place, below or above, all of which reaches all of the file and is reached from it.
 * maps_fd: of /proc/PID/maps, at its beginning. -ENOSPC: there is none. */
int vmt_free_place_read(int maps_fd, const struct vmt_free_place *wanted, uint64_t *address);

/* The same of a process; stack_bytes is asked of the kernel. */
int vmt_free_place_find(pid_t pid, uint64_t low, uint64_t high, uint64_t bytes, uint64_t *address);

#endif
