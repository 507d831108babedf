/*
 * group_rows.h: joins sites that look the same to a person.
 *
 * A site is a whole stack; a row shows the frame that names it and a few callers (vmt_rank_walk).
 * Sites of one kind that show the same frames are one row here, their figures added up: an
 * allocator that maps a piece at a time from a thousand stacks is then as large as it is. Frames
 * are the same when they print the same. So what a row names, callers too, is true of all of its
 * bytes. Figures are bytes.
 */
#ifndef VMT_GROUP_ROWS_H
#define VMT_GROUP_ROWS_H

#include "tools/model/report/report.h"
#include "tools/render/rank.h"

/* An order in which two walks that were begun are equal where they show the same. */
int vmt_group_rows_compare(const struct vmt_rank_walk *a, const struct vmt_rank_walk *b);

/* 0 where both print the same. */
int vmt_group_rows_compare_frames(const struct vmt_frame *a, const struct vmt_frame *b);

/* Adds a site's figures to a row's. */
void vmt_group_rows_add(struct vmt_site *row, const struct vmt_site *site);

/* Whether two sites are one row. */
bool vmt_group_rows_is_same(const struct vmt_site *a, const struct vmt_site *b, size_t callers);

/* Rows that show the naming frame and so many callers, in no order; *count of them. Without callers
 * sites of different classes stay apart. To be freed by
 * the caller, but not their stacks, which are those of the report. NULL: no memory, or no site. */
struct vmt_site *vmt_group_rows_merge(const struct vmt_report *report, size_t callers,
				      size_t *count);

#endif
