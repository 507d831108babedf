/*
 * inherited_release.h: a fork child without a trace gives back memory that it inherited
 *
 * Most such children end soon, so that no trace is opened for it: what is mapped when one is opened
 * is written down then. Whatever the range, all that is the tracer's stays, the parent's trace
 * included, which a trace of the child's begins with. So a child that unmaps much of what it has
 * runs on, or ends, as it would bare. One that unmaps all of its code and its stacks ends by the
 * call: that is made as it is. Call outside any hook. Async-signal-safe.
 */
#ifndef VMT_INHERITED_RELEASE_H
#define VMT_INHERITED_RELEASE_H

#include "capture/record/mapping.h"
#include "capture/record/raw_call.h"

#include <stdbool.h>

/* The kernel's value; 0 for a range of the tracer's alone. -ENOMEM: also where the child has a
 * trace, or gets none; the call is to be made the long way. */
long vmt_inherited_release_munmap(const struct vmt_mapping_range *range);

/* The same for a System V segment. -ENOMEM also where something lies there whose length is not
 * known. */
long vmt_inherited_release_shmdt(uint64_t address);

/* A munmap or shmdt by its number. False: any other call, or one to be made the long way. */
bool vmt_inherited_release_make(const struct vmt_raw_call *call, long *result);

/* Writes the release of a range, in pages, if somebody has opened the trace since it began: that
 * trace may have found the range still mapped. */
void vmt_inherited_release_settle(uint64_t address, uint64_t length);

#endif
