/*
 * diff_group_rows.h: joins a diff's rows that look the same.
 *
 * The counterpart of group_rows.h. A row of a diff joins call sites that were found to be one; some
 * of them may show other frames. It is shown by those with most bytes, and shown_bytes says how
 * many that is. Rows of one kind that then show the same are one. Figures are bytes.
 */
#ifndef VMT_DIFF_GROUP_ROWS_H
#define VMT_DIFF_GROUP_ROWS_H

#include "tools/model/diff/diff.h"
#include "tools/model/diff/diff_verdict.h"

/* Rows that show so many callers, by |difference of committed|; they point into the diff. To be
 * freed by vmt_diff_group_rows_free, also after an error: false, and no row, without memory. */
bool vmt_diff_group_rows_merge(struct vmt_diff_rows *rows, const struct vmt_diff *diff,
			       size_t callers);
void vmt_diff_group_rows_free(struct vmt_diff_rows *rows);

/* What the row shows has most of the bytes that it joins. */
bool vmt_diff_group_rows_has_most(const struct vmt_diff_site *row);

#endif
