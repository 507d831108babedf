/*
 * tree_branches.h: who is whose child, drawn as a tree.
 *
 * Children of one parent that are called alike, and have no children themselves, are one line from
 * the fourth on. Writes to the layout's stream.
 */
#ifndef VMT_TREE_BRANCHES_H
#define VMT_TREE_BRANCHES_H

#include "tools/model/tree/tree.h"
#include "tools/render/layout.h"

/* At most so many lines. */
void vmt_tree_branches_print(const struct vmt_tree *tree, size_t family,
			     const struct vmt_layout *layout, size_t most);

#endif
