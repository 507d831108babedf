/*
 * tree_line.h: what had the processes of each tree in RAM, over time?
 *
 * The sum of RSS as it was read, shared pages once for each process. One thread at a time.
 */
#ifndef VMT_TREE_LINE_H
#define VMT_TREE_LINE_H

#include "tools/model/tree/tree.h"

/* At least 2. */
#define VMT_TREE_LINE_POINTS 512u

/* Fills in the line of each family: at most so many points, of each stretch of time the one with
 * most. False: no memory. */
bool vmt_tree_line_fill(struct vmt_tree *tree, size_t most_points);

#endif
