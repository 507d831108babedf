/*
 * diff_build.h: compares two reports.
 *
 * One thread at a time.
 */
#ifndef VMT_DIFF_BUILD_H
#define VMT_DIFF_BUILD_H

#include "tools/err.h"
#include "tools/model/diff/diff.h"

/* at: of which moment both reports are. */
int vmt_diff_build(struct vmt_diff **diff, const struct vmt_report *a, const struct vmt_report *b,
		   enum vmt_report_at at, struct vmt_err *err);

#endif
