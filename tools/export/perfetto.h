/*
 * perfetto.h: a report as a trace for Perfetto.
 *
 * A message perfetto.protos.Trace (github.com/google/perfetto, protos/perfetto/trace): counter
 * tracks in bytes of one process, RSS as far as it was sampled, and what each class has reserved
 * and in RAM at each snapshot that the report's history has; instants for the peak, the report's
 * snapshot (its first sentence), the end, and at 0 for what was lost. Times are nanoseconds since
 * the trace began. Classes that never have anything have no track.
 */
#ifndef VMT_PERFETTO_H
#define VMT_PERFETTO_H

#include "tools/model/report/report.h"

#include <stdio.h>

int vmt_perfetto_write(const struct vmt_report *report, FILE *out, struct vmt_err *err);

#endif
