/*
 * tree_calm.h: when did a tree's processes neither come nor go?
 *
 * What pages are shared changes with each process that comes or goes, and with each write to a page
 * that was shared by fork. One thread at a time.
 */
#ifndef VMT_TREE_CALM_H
#define VMT_TREE_CALM_H

#include "tools/model/tree/tree.h"

struct vmt_tree_calm {
	int64_t from_ns; /* both included */
	int64_t to_ns;
};

/* Around the moment of a family. */
struct vmt_tree_calm vmt_tree_calm_find(const struct vmt_tree *tree,
					const struct vmt_tree_family *family, const size_t *members,
					size_t count);

/* Whether processes came or went between two times. */
bool vmt_tree_calm_is_broken(const struct vmt_tree *tree, const size_t *members, size_t count,
			     int64_t first_ns, int64_t last_ns);

/* What is known of the relatives of all processes by fork, to be freed; NULL: no memory. */
struct vmt_tree_kin;
struct vmt_tree_kin *vmt_tree_calm_kin(const struct vmt_tree *tree);

/* Marks the processes whose snapshots tell of pages as they were shared among others than at the
 * moment (is_apart). Once for each family. */
void vmt_tree_calm_mark_apart(struct vmt_tree *tree, struct vmt_tree_kin *kin,
			      const size_t *members, size_t count);

/* Whether a process that shares pages by fork may have written to them since its snapshot. */
bool vmt_tree_calm_may_have_copied(const struct vmt_tree *tree,
				   const struct vmt_tree_family *family, const size_t *members,
				   size_t count);

#endif
