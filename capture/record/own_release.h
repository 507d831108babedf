/*
 * own_release.h: keeps the tracer's memory when the program releases it
 *
 * A program that unmaps all that /proc/self/maps lists would unmap what its next call of a hook
 * needs. So the library's own image and the tracer's private memory stay mapped: around them all is
 * unmapped, and a range of nothing else is refused with EINVAL. The trace is let go: recording ends
 * for good, before the call, and the trace says so (VMT_NOTE_UNMAPPED). Where another thread stays
 * inside a hook, or that can't be known, the trace's mappings stay as well.
 *
 * Units: bytes. Lock-free, async-signal-safe.
 */
#ifndef VMT_OWN_RELEASE_H
#define VMT_OWN_RELEASE_H

#include "capture/core/guard.h"

#include <stdbool.h>
#include <stdint.h>

/* Whose turn it is to end recording and let the trace go: robust_trylock.h. Others are refused
 * memory at the same time (retreat.h). */
extern uint32_t vmt_own_release_turn;

/* Ends recording where the trace lies in [start, end). First of all. Whether recording goes on;
 * depth: of the calling thread, as far as it is the caller's own. */
bool vmt_own_release_let_go(uint64_t start, uint64_t end, uint32_t depth);

/* Whether anything of the tracer's lies in [start, end), its trace included. */
bool vmt_own_release_meets(uint64_t start, uint64_t end);

/* The first part of [start, end) that stays mapped. False: there is none. */
bool vmt_own_release_next(uint64_t start, uint64_t end, struct vmt_own_range *part);

/* The same, its trace included. */
bool vmt_own_release_next_whole(uint64_t start, uint64_t end, struct vmt_own_range *part);

#endif
