/*
 * tree_lend.h: what a process inherited at its fork, as a snapshot for its parent's trace.
 *
 * Of the process's snapshot the runs in ranges of addresses are kept, so that its parent's events
 * up to the fork tell whose each page is. One thread at a time.
 */
#ifndef VMT_TREE_LEND_H
#define VMT_TREE_LEND_H

#include "tools/read/trace/snapshot_decode.h"

#include <stddef.h>
#include <stdint.h>

struct vmt_tree_range {
	uint64_t start;
	uint64_t end;
};

/* In rising order, and apart. */
struct vmt_tree_ranges {
	struct vmt_tree_range *all;
	size_t count;
	size_t room;
};

/* One more, above all others. 0 or -ENOMEM. */
int vmt_tree_lend_add(void *ranges, uint64_t start, uint64_t end);

/* Makes *kept, to be freed by vmt_snapshot_decode_free. 0 or -ENOMEM. */
int vmt_tree_lend_keep(struct vmt_snapshot *kept, const struct vmt_snapshot *snapshot,
		       const struct vmt_tree_ranges *ranges);

#endif
