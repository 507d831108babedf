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

#include "tools/model/report/report.h"

#include <stdio.h>

#define VMT_PPROF_MOST_BYTES (4u << 20) /* of the file; the smallest rows are joined to fit */

int vmt_pprof_write(const struct vmt_report *report, FILE *out, struct vmt_err *err);

#endif
