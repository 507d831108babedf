/*
 * speedscope.h: a report as a file for speedscope.
 *
 * Its own format (github.com/jlfwong/speedscope, src/lib/file-format-spec.ts): one sampled profile
 * for each metric of profile.h, the chosen one shown first, so that "Left Heavy" and "Sandwich"
 * have the figures of the report. Rows that are 0 are left out. Numbers above 2^53 - 1, which its
 * readers can't tell apart, are written as that.
 */
#ifndef VMT_SPEEDSCOPE_H
#define VMT_SPEEDSCOPE_H

#include "tools/export/profile.h"

#include <stdio.h>

int vmt_speedscope_write(const struct vmt_report *report, enum vmt_metric shown, FILE *out,
			 struct vmt_err *err);

#endif
