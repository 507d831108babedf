/*
 * tree_build.h: reads several traces and takes them together.
 *
 * Each trace is read without a replay, twice at most. Traces that can't be read are counted. One
 * thread at a time.
 */
#ifndef VMT_TREE_BUILD_H
#define VMT_TREE_BUILD_H

#include "tools/err.h"
#include "tools/model/tree/tree.h"

struct vmt_tree_options {
	enum vmt_tree_group_by group_by;
	enum vmt_tree_at at;
	int64_t at_time_ns; /* VMT_TREE_AT_TIME: see struct vmt_tree */
	struct vmt_tree_watcher watcher;
};

struct vmt_tree_file {
	char *path;
	char *name; /* as it is shown */
};

/* 0, or a negative errno where none of the files can be read, with what is wrong with the first. */
int vmt_tree_build(struct vmt_tree **tree, const struct vmt_tree_file *files, size_t count,
		   const struct vmt_tree_options *options, struct vmt_err *err);
void vmt_tree_free(struct vmt_tree *tree);

#endif
