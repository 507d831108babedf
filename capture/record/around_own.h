/*
 * around_own.h: makes a call on a range, but for what of it is the tracer's
 *
 * A program that protects, empties or marks all that /proc/self/maps lists would take from the
 * tracer what its next hook needs: the library's image, its private memory, the trace. These are
 * left out, and the call is made for each part between them. A range of nothing else succeeds and
 * changes nothing.
 *
 * Units: bytes. Results are the kernel's: 0, or negative errno. Lock-free, async-signal-safe.
 */
#ifndef VMT_AROUND_OWN_H
#define VMT_AROUND_OWN_H

#include <stdbool.h>
#include <stdint.h>

typedef long vmt_around_own_part(const void *call, uint64_t address, uint64_t length);

/* Makes `part` for each part of the range that is the program's, or once for the range as it is
 * where none of it is the tracer's. Parts go on after -ENOMEM (a hole, as the kernel does), where
 * `past_holes`; after any other error nothing more is done. */
struct vmt_around_own {
	vmt_around_own_part *part;
	const void *call;
	bool past_holes;
};
long vmt_around_own_make(const struct vmt_around_own *around, uint64_t address, uint64_t length);

/* Unrecorded. key -1: plain mprotect. */
long vmt_around_own_mprotect(uint64_t address, uint64_t length, int protection, int key);

long vmt_around_own_madvise(uint64_t address, uint64_t length, int advice);

/* Whether such advice takes pages away, or changes what a fork child finds or a touch does: what
 * the tracer's memory must not be told. */
bool vmt_around_own_harms(int advice);

#endif
