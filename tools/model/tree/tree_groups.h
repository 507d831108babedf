/*
 * tree_groups.h: processes of one tree that are called alike.
 *
 * Those that were forked are apart from those that began with a program of their own, as a worker
 * may be called as its parent is. By title, where a number is like any other ("postgres: bench
 * bench 127.0.0.1(#) idle"), or by program. One thread at a time.
 */
#ifndef VMT_TREE_GROUPS_H
#define VMT_TREE_GROUPS_H

#include "tools/model/tree/tree.h"

/* Fills in the tree's groups and which each process is in. False: no memory. */
bool vmt_tree_groups_make(struct vmt_tree *tree, enum vmt_tree_group_by by);
void vmt_tree_groups_free(struct vmt_tree *tree);

#endif
