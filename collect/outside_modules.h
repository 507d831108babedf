/*
 * outside_modules.h: which files are loaded in a fork child that is recorded from outside?
 *
 * Those of its parent's trace that it has mapped still: code of its page faults has names by them.
 * The parent's table of modules is taken over as it is, so that ids stay. The parent writes into it
 * at any time: its bytes are untrusted. Single-threaded.
 */
#ifndef VMT_OUTSIDE_MODULES_H
#define VMT_OUTSIDE_MODULES_H

#include "base/maps_line.h"
#include "collect/traced.h"
#include "format/event.h"

/* What the child's table needs, a multiple of 8 that is never 0. */
uint64_t vmt_outside_modules_bytes(const struct vmt_traced *parent);

/* Into the child's trace, which is mapped. */
void vmt_outside_modules_take_over(struct vmt_traced *process, const struct vmt_traced *parent);

/* Fills an event, but for its time and thread, with the module that has its code in a mapping of
 * the child's. False: none is known. */
bool vmt_outside_modules_find(const struct vmt_traced *process, const struct vmt_mapping *mapping,
			      struct vmt_map_event *event);

#endif
