/*
 * tree_text.h: several traces as text.
 *
 * What each tree has in RAM together, a table of its processes, groups of those that are called
 * alike, and who is whose child. Writes to the layout's stream.
 */
#ifndef VMT_TREE_TEXT_H
#define VMT_TREE_TEXT_H

#include "tools/model/tree/tree.h"
#include "tools/render/layout.h"

struct vmt_tree_text_options {
	struct vmt_layout layout;
	const char *where; /* the traces lie, or NULL where they were named one by one */
	size_t top;	   /* rows of each list */
};

void vmt_tree_text_print(const struct vmt_tree *tree, const struct vmt_tree_text_options *options);

/* The sentence of one tree: "38 MiB in RAM together at the peak ...", or the RSS of all added up
 * where it is not known what they share. Returns text. */
char *vmt_tree_text_sum(const struct vmt_tree *tree, const struct vmt_tree_family *family,
			char *text, size_t text_bytes);

#endif
