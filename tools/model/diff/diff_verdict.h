/*
 * diff_verdict.h: the difference in one word.
 */
#ifndef VMT_DIFF_VERDICT_H
#define VMT_DIFF_VERDICT_H

#include "tools/model/diff/diff.h"

/* Rows that the verdict names are to have what a person takes for one site in one row. */
struct vmt_diff_rows {
	struct vmt_diff_site *sites;
	size_t count;
	struct vmt_diff_member *members;
};

/* Sets the verdict, with sites out of `rows`, which must outlive it, instead of the diff's own. */
void vmt_diff_verdict_judge(struct vmt_diff *diff, const struct vmt_diff_rows *rows);
#endif
