/*
 * text_search.h: where has a process certain bytes of code?
 *
 * Reads the executable mappings that a process has of files by /proc/PID/maps, [vdso] included,
 * [vsyscall] left out: what was made at run time, or by a recorder, may go. Uses memory of its own
 * that it gives back. The process may run meanwhile. Thread safe. Errors: negative errno; -ENOENT:
 * it has none.
 */
#ifndef VMT_TEXT_SEARCH_H
#define VMT_TEXT_SEARCH_H

#include "inject/target_memory.h"

#include <stddef.h>
#include <stdint.h>

#define VMT_TEXT_PATTERN_BYTES 16u

struct vmt_text_pattern {
	uint8_t bytes[VMT_TEXT_PATTERN_BYTES];
	uint8_t count;	  /* of bytes */
	uint64_t address; /* where it was found first; 0 = nowhere yet */
};

/* Fills in the address of each pattern, and where [stack] begins (0: there is none). Ends when all
 * are found. */
int vmt_text_search(const struct vmt_target *target, struct vmt_text_pattern *patterns,
		    size_t count, uint64_t *stack_low);

/* A `syscall`, in the [vdso] where it has one. */
int vmt_text_search_syscall(const struct vmt_target *target, uint64_t *address);

#endif
