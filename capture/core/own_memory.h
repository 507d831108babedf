/*
 * own_memory.h: memory of the tracer's own, and which of it there is
 *
 * Private anonymous mappings that the tracer makes for itself, remembered so that the trace can
 * name them and a release by the program can be told. Units: bytes. Lock-free, async-signal-safe.
 */
#ifndef VMT_OWN_MEMORY_H
#define VMT_OWN_MEMORY_H

#include "base/maps_line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_OWN_MEMORY_RANGES 32u

struct vmt_own_memory {
	struct vmt_own_range ranges[VMT_OWN_MEMORY_RANGES];
	uint32_t count;	   /* may be more than there is room for */
	bool locks_future; /* mlockall(MCL_FUTURE) is in force, or was */
};

extern struct vmt_own_memory vmt_own_memory;

/* Private anonymous zeroed memory for the tracer itself (page-rounded, not reserved against
 * overcommit, not locked). NULL on failure. */
void *vmt_own_memory_map(size_t bytes);

/* The same, remembered so that the trace can name it. Set-up only; later:
 * vmt_own_mapping_write. */
void *vmt_own_memory_map_listed(size_t bytes);

/* Remembers a private anonymous mapping that was made elsewhere as the tracer's own. */
void vmt_own_memory_add(uint64_t start, uint64_t bytes);

/* Forgets one, or the end of one, before it is unmapped. */
void vmt_own_memory_drop(uint64_t start, uint64_t bytes);

/* Has the kernel zero such memory in fork children. False where it cannot. */
bool vmt_own_memory_wipe_on_fork(void *memory, size_t bytes);

#endif
