/*
 * diff_selection.h: which rows of a diff are shown.
 *
 * As selection.h for a report: the first sentence, the classes and the totals are always of all.
 * A row is taken by the frames that it shows. One thread at a time.
 */
#ifndef VMT_DIFF_SELECTION_H
#define VMT_DIFF_SELECTION_H

#include "tools/model/diff/diff.h"
#include "tools/render/selection.h"

#include <stddef.h>

struct vmt_diff_selection_sum {
	size_t sites;
	struct vmt_diff_figure committed_bytes;
	struct vmt_diff_figure reserved_bytes;
	bool estimate;
};

struct vmt_diff_selection {
	const struct vmt_selection_patterns *patterns;
	struct vmt_diff shown; /* the diff, with the sites alone that are shown */
	struct vmt_diff touch; /* of its touchers, likewise */
	struct vmt_diff_selection_sum part;
	struct vmt_diff_selection_sum all;
};

/* 0 or -ENOMEM. The diff has to outlive the selection. */
int vmt_diff_selection_make(struct vmt_diff_selection *selection,
			    const struct vmt_selection_patterns *patterns,
			    const struct vmt_diff *diff);
void vmt_diff_selection_free(struct vmt_diff_selection *selection);

/* "12 of 90 call sites shown: committed 3 MiB of 8 MiB in A, ..." Returns text. */
char *vmt_diff_selection_write(const struct vmt_diff_selection *selection, char *text,
			       size_t text_bytes);

#endif
