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

/* What is missing in a report about several traces. */
enum vmt_tree_loss {
	VMT_TREE_LOSS_UNREADABLE,
	VMT_TREE_LOSS_PASSED_OVER,
	VMT_TREE_LOSS_AMBIGUOUS,
	VMT_TREE_LOSSES,
};

/* In words: text, or NULL where it is not missing. */
const char *vmt_tree_text_loss(const struct vmt_tree *tree, enum vmt_tree_loss loss, char *text,
			       size_t text_bytes);

/* The sentence of one tree: "38 MiB in RAM together at the peak ...", or the RSS of all added up
 * where it is not known what they share. Returns text. */
char *vmt_tree_text_sum(const struct vmt_tree *tree, const struct vmt_tree_family *family,
			char *text, size_t text_bytes);

#endif
