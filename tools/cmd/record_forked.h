/*
 * record_forked.h: which processes have the recorder from a recorded parent?
 *
 * A fork child has its parent's changed code, and what the recorder has mapped. So it is known by
 * what the recorder was told: it lies in the child's memory where it lies in the parent's, and has
 * the name of this recording's session. Needs leave to trace the child: without it, none is seen.
 * Single-threaded.
 */
#ifndef VMT_RECORD_FORKED_H
#define VMT_RECORD_FORKED_H

#include "tools/cmd/record_target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_record_forked {
	uint32_t pid;
	size_t parent; /* the target from which it descends, by its place among them */
};

/* Whether a process has the recorder of one of these, and from it. */
bool vmt_record_forked_is_one(struct vmt_record_forked *forked, uint32_t pid,
			      const struct vmt_record_target *targets, size_t count);

/* Whether this process may not trace another one: what it has can't be seen. */
bool vmt_record_forked_is_closed(uint32_t pid);

/* Those that /proc shows now, of whom none of the targets is one: at most so many. */
size_t vmt_record_forked_find(struct vmt_record_forked *found, size_t room,
			      const struct vmt_record_target *targets, size_t count);

#endif
