/*
 * pprof.h: a report as a profile for pprof.
 *
 * A gzipped message perftools.profiles.Profile (github.com/google/pprof, proto/profile.proto): the
 * rows of profile.h with string labels class, kind, exe and pid. Comments are the first sentence of
 * the report, its losses and its blind spots. Addresses are those of the calls, one byte before the
 * return address, so that they lie in the line that is named.
 */
#ifndef VMT_PPROF_H
#define VMT_PPROF_H

#include "tools/export/profile.h"
#include "tools/model/report/report.h"

#include <stdio.h>

#define VMT_PPROF_MOST_BYTES (4u << 20) /* of the file; the smallest rows are joined to fit */

int vmt_pprof_write(const struct vmt_report *report, FILE *out, struct vmt_err *err);

/* The rows of several reports in one file, told apart by their labels: of each report the most_rows
 * largest, the smaller ones joined. Its time is that of the first. NULL: no memory. */
struct vmt_pprof_several;
struct vmt_pprof_several *vmt_pprof_begin(enum vmt_metric shown_first, size_t most_rows);
/* The report may go afterwards. */
void vmt_pprof_add(struct vmt_pprof_several *several, const struct vmt_report *report);
/* Frees several (NULL will do); the second writes it before, where at least one report was added.
 */
void vmt_pprof_drop(struct vmt_pprof_several *several);
int vmt_pprof_end(struct vmt_pprof_several *several, FILE *out, struct vmt_err *err);

#endif
