/*
 * tree_scan.h: what one trace says of its process, without a replay.
 *
 * Its head, its title, its RSS over time and how it ended. Bytes are untrusted. One thread at a
 * time.
 */
#ifndef VMT_TREE_SCAN_H
#define VMT_TREE_SCAN_H

#include "tools/err.h"
#include "tools/model/tree/tree.h"

/* Points of RSS kept, the highest of each stretch of time among them: at least 2. */
#define VMT_TREE_POINTS 256u

/* Fills in what is known of the process alone. 0, or a negative errno: nothing is to be freed. */
int vmt_tree_scan(struct vmt_tree_process *process, const char *path, const char *name,
		  size_t most_points, struct vmt_err *err);
void vmt_tree_scan_free(struct vmt_tree_process *process);

#endif
