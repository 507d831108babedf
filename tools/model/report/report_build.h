/*
 * report_build.h: makes a report of a trace.
 *
 * Reads the trace once, replays its events up to the chosen snapshot and on to the end, and fills
 * in a struct vmt_report. One thread at a time.
 */
#ifndef VMT_REPORT_BUILD_H
#define VMT_REPORT_BUILD_H

#include "tools/err.h"
#include "tools/model/report/report.h"

/* Reads the whole trace at path. On failure *report is NULL. */
int vmt_report_build(struct vmt_report **report, const char *path,
		     const struct vmt_report_options *options, struct vmt_err *err);
void vmt_report_free(struct vmt_report *report);

#endif
