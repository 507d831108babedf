/*
 * fleet_metrics.h: what many processes have, as metrics by program.
 *
 * OpenMetrics text, as openmetrics.h has it for one report. Processes of one program are added up:
 * labels are exe and class, and pid only where it is asked for. The programs beyond
 * VMT_FLEET_MOST_SERIES, the smallest by RSS, are joined as exe="other", so that the number of
 * series has a bound whatever runs. Names and labels are an interface, listed in
 * docs/howto-fleet.md: they are added to and keep their meaning.
 *
 * Gauges are of each process's last snapshot. One thread's.
 */
#ifndef VMT_FLEET_METRICS_H
#define VMT_FLEET_METRICS_H

#include "tools/model/report/report.h"

#include <stdio.h>

#define VMT_FLEET_MOST_SERIES 100u /* of each metric and class, beside "other" */
#define VMT_FLEET_MOST_TARGETS 1000u

/* Each answer ends with its age, which is 0 when it is written, and then with the mark of the end.
 */
#define VMT_FLEET_AGE "vmtrace_answer_age_seconds "
#define VMT_FLEET_END VMT_FLEET_AGE "0\n# EOF\n"

struct vmt_fleet;

/* NULL: no memory. */
struct vmt_fleet *vmt_fleet_new(bool by_pid);
void vmt_fleet_free(struct vmt_fleet *fleet);

/* The report of a running process; it may go afterwards. now_unix_ns: to say how old its snapshot
 * is. false: no memory. */
bool vmt_fleet_add(struct vmt_fleet *fleet, const struct vmt_report *report, uint64_t now_unix_ns);

/* A trace that could not be read. */
void vmt_fleet_add_unread(struct vmt_fleet *fleet);

/* So many processes run; a list of targets names VMT_FLEET_MOST_TARGETS of them. */
void vmt_fleet_set_running(struct vmt_fleet *fleet, size_t processes);

/* So many of the unread traces are left out for a while, since who read them was lost. */
void vmt_fleet_set_left_out(struct vmt_fleet *fleet, size_t traces);

/* 0, or -ENOMEM with a message. Errors of writing stay in out. */
int vmt_fleet_write(struct vmt_fleet *fleet, FILE *out, struct vmt_err *err);

#endif
