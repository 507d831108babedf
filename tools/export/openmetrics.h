/*
 * openmetrics.h: a report as metrics.
 *
 * OpenMetrics text (prometheus/OpenMetrics, specification 1.0), which the older text format of
 * Prometheus has as a part: gauges alone, since a report is of one moment. Names and labels are an
 * interface, listed in docs/howto-viewers.md: they are added to and keep their meaning. Labels are
 * exe and, where memory is divided, class: as many series as there are classes, whatever the
 * program does. Nothing here has a pid as label but vmtrace_process_info.
 */
#ifndef VMT_OPENMETRICS_H
#define VMT_OPENMETRICS_H

#include "tools/model/report/report.h"

#include <stdio.h>

int vmt_openmetrics_write(const struct vmt_report *report, FILE *out, struct vmt_err *err);

#endif
