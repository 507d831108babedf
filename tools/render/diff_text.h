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

/* The parts beside classes and call sites, each below a title of its own; nothing where nothing
 * differs by more than two runs of one program may. What the kernel counts; what is not in RAM. */
void vmt_diff_text_kernel(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);
void vmt_diff_text_untouched(const struct vmt_diff *diff,
			     const struct vmt_diff_text_options *options);
/* Why a Go program has more in RAM, or less; nothing where it is not known. */
void vmt_diff_text_go(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);
/* Malloc's blocks: live at the end, and freed at once. Nothing where neither has any. */
void vmt_diff_text_blocks(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);
/* Who touched memory; nothing unless page faults were sampled in both. */
void vmt_diff_text_touch(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);
/* Live objects by Go line; nothing unless both reports know them. */
void vmt_diff_text_live(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);
void vmt_diff_text_large(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);

void vmt_diff_text_print(const struct vmt_diff *diff, const struct vmt_diff_text_options *options);

#endif
