/*
 * tree_untraced.h: which processes of a tree had no trace, and what is known of them
 *
 * By what the traces of the others tell (tools/read/trace/untraced_records.h). One that got a trace
 * later is not among them. One thread at a time.
 */
#ifndef VMT_TREE_UNTRACED_H
#define VMT_TREE_UNTRACED_H

#include "tools/model/tree/tree.h"

/* Fills in family->untraced, at the moment of the family, whose traces are listed. False: no
 * memory. */
bool vmt_tree_untraced_count(const struct vmt_tree *tree, struct vmt_tree_family *family,
			     const size_t *members, size_t count);

#endif
