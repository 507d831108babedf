/*
 * tree_moment.h: when did the processes of a tree have most in RAM, taken together?
 *
 * By what was read of each one's RSS between its snapshots. Of a tree that runs it is the newest
 * time that is known of. One thread at a time.
 */
#ifndef VMT_TREE_MOMENT_H
#define VMT_TREE_MOMENT_H

#include "tools/model/tree/tree.h"

/* What a family has, as time goes on. */
struct vmt_tree_sums {
	uint64_t rss_bytes;
	uint64_t untraced_bytes; /* of processes without a trace */
	uint64_t changes;	 /* how many have come or gone */
};

/* At each time at which a sum changes, family by family. time_ns INT64_MAX: what runs on ends. */
typedef void vmt_tree_step(void *context, size_t family, int64_t time_ns,
			   const struct vmt_tree_sums *sums);

/* False: no memory. */
bool vmt_tree_moment_sweep(const struct vmt_tree *tree, vmt_tree_step *step, void *context);

/* Fills in the moment of each family, and which processes were there. False: no memory. */
bool vmt_tree_moment_find(struct vmt_tree *tree);

#endif
