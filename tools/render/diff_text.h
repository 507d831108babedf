/*
 * diff_text.h: a diff as text.
 *
 * The most useful sentence first. Writes to one stream, allocates nothing. The caller finds out the
 * width and whether there is color.
 */
#ifndef VMT_DIFF_TEXT_H
#define VMT_DIFF_TEXT_H

#include "tools/model/diff/diff.h"
#include "tools/render/diff_selection.h"
#include "tools/render/layout.h"

#define VMT_DIFF_TEXT_DEFAULT_TOP 12u

struct vmt_diff_text_options {
	struct vmt_layout layout;
	const char *paths[2];			    /* of A and B, as the user named them */
	size_t callers;				    /* below each row */
	size_t top;				    /* rows of each list */
	const struct vmt_diff_selection *selection; /* NULL: all rows */
};

/* Who touched memory; nothing unless page faults were sampled in both. */
void vmt_diff_text_touch(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);

void vmt_diff_text_print(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);

#endif
