/*
 * tree_owners.h: who has most of the memory of the largest processes of a tree?
 *
 * The traces of some are replayed: of the largest of each group, the largest groups first. What a
 * fork child inherited is explained by its parent's trace, up to the fork. One thread's.
 */
#ifndef VMT_TREE_OWNERS_H
#define VMT_TREE_OWNERS_H

#include "tools/model/tree/tree.h"

/* Of `most` processes, and no further one once limit_ns are over. What can't be found out is left
 * out. sysroot: where files are looked up, or NULL. */
void vmt_tree_owners_find(struct vmt_tree *tree, size_t most, uint64_t limit_ns,
			  const char *sysroot);

#endif
