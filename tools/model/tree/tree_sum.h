/*
 * tree_sum.h: what do the processes of each tree have in RAM together, at its moment?
 *
 * Of each process that was there, the snapshot nearest to the moment is read; one with Pss is
 * preferred to one that is little nearer. What a tree has with each page once is the private pages,
 * and of the shared ones:
 *	pages of files and shared memory, by their places in the files (tree_pages.h)
 *	private pages after forks, by the sum of their Pss; where no Pss is known, or processes
 *	came or went between the snapshots, by addresses
 * Pages that other programs map as well are in it whole; Pss has them in part. One thread at a
 *time.
 */
#ifndef VMT_TREE_SUM_H
#define VMT_TREE_SUM_H

#include "tools/err.h"
#include "tools/model/tree/tree.h"

/* Fills in figures of processes and sums of families. A trace that can't be read any more leaves
 * its process without a snapshot. 0 or -ENOMEM. */
int vmt_tree_sum_fill(struct vmt_tree *tree, struct vmt_err *err);

#endif
