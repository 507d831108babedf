/*
 * tree_page.h: a report about several traces as an HTML file of at most 8 MiB.
 *
 * Its data is vmtrace-tree/1 (docs/view-format.md): the document of --format json, and of each tree
 * its sentence and its line over time. Processes with the smallest peaks are left out until the
 * file is small enough: sums and groups are of all. One thread's.
 */
#ifndef VMT_TREE_PAGE_H
#define VMT_TREE_PAGE_H

#include "tools/err.h"
#include "tools/model/tree/tree.h"

#include <stdio.h>

struct vmt_tree_page {
	const struct vmt_tree *tree; /* with lines (tree_line.h) */
	const char *where;	     /* the directory; NULL: files were named */
	const char *version;	     /* of vmtrace */
	size_t most_rows;	     /* in the table; SIZE_MAX: all that fit */
};

/* 0, or a negative errno with a message. Errors of writing stay in out. */
int vmt_tree_page_write(const struct vmt_tree_page *page, FILE *out, struct vmt_err *err);

#endif
