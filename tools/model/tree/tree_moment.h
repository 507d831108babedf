/*
 * tree_moment.h: when did the processes of a tree have most in RAM, taken together?
 *
 * By what was read of each one's RSS between its snapshots. Of a tree that runs it is the newest
 * time that is known of. One thread at a time.
 */
#ifndef VMT_TREE_MOMENT_H
#define VMT_TREE_MOMENT_H

#include "tools/model/tree/tree.h"

/* Fills in the moment of each family, and which processes were there. False: no memory. */
bool vmt_tree_moment_find(struct vmt_tree *tree);

#endif
