/*
 * view_cut.h: a report with no more rows of advice, locks and files than a page may have.
 *
 * Of more the largest are kept, in the report's order, and the others are counted. The copy points
 * into the report, which must outlive it. One thread's.
 */
#ifndef VMT_VIEW_CUT_H
#define VMT_VIEW_CUT_H

#include "tools/model/report/report.h"

#include <stddef.h>
#include <stdint.h>

struct vmt_view_cut {
	struct vmt_report report; /* shares all but these lists; never freed as a report */
	size_t *advice_rows;	  /* of the copy, by row of the report; SIZE_MAX: left out */
	size_t advice_left_out;
	size_t locks_left_out;
	size_t files_left_out;
	uint64_t files_left_out_bytes; /* in RAM */
};

/* 0 or -ENOMEM. Freed in either case. */
int vmt_view_cut_make(struct vmt_view_cut *cut, const struct vmt_report *report, size_t most);
void vmt_view_cut_free(struct vmt_view_cut *cut);

#endif
