/*
 * live_report.h: a report of a trace that grows, again and again, for what is new.
 *
 * The replay is kept as it stands before the last but one snapshot: all records before are applied,
 * from chunks alone. A report of now is made by a child process (fork) out of a copy of that state:
 * it applies the rest, what the rings hold too, and ends. So a report can use up the state that it
 * is made of, rings are read and not emptied, and no event counts twice. The report is that of
 * vmt_report_build of the same bytes.
 *
 * Where something turns up that belongs before what was applied (a writer that was stopped for
 * longer than that), or what was taken from the whole trace beforehand has changed, the replay
 * begins anew: right, and as dear as a first report. So it is where the file is not what it was, as
 * long as it is the same process's trace.
 *
 * Names that options ask for are looked up as their call sites turn up, and are kept.
 *
 * Costs a copy-on-write copy of the process for each report. One thread's; the process has one
 * thread. Memory is that of a replay.
 */
#ifndef VMT_LIVE_REPORT_H
#define VMT_LIVE_REPORT_H

#include "tools/err.h"
#include "tools/model/report/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct vmt_live_report;

/* options: at is VMT_AT_END, no_growth is set, history, lent and all_names are not; they outlive
 * it. */
int vmt_live_report_open(struct vmt_live_report **live, const char *path,
			 const struct vmt_report_options *options, struct vmt_err *err);
void vmt_live_report_close(struct vmt_live_report *live);

/* Called in the child, which ends afterwards: whatever it changes is gone. 0, or a negative errno.
 */
typedef int vmt_live_report_write(void *context, const struct vmt_report *report, FILE *out);

/* Reads what is new. What `write` wrote is in *bytes, to be freed. 0, or a negative errno and a
 * message; the next one may succeed. */
int vmt_live_report_make(struct vmt_live_report *live, vmt_live_report_write *write, void *context,
			 char **bytes, size_t *length, struct vmt_err *err);

/* The same in three steps, for who makes one process for the reports of several traces. Reads what
 * is new: 0, or a negative errno and a message. */
int vmt_live_report_read(struct vmt_live_report *live, struct vmt_err *err);
/* Before such a process is made (true) and afterwards (false): whether fork copies the tables. */
void vmt_live_report_fork(struct vmt_live_report *live, bool with_it);
/* In that process, once for each trace that was read: the report, with the names of functions or
 * without. It belongs to live, which can do nothing further but be closed. */
int vmt_live_report_finish(struct vmt_live_report *live, bool symbols,
			   const struct vmt_report **report, struct vmt_err *err);

/* Ends the processes that look up names, if there are any; names that they found are known. */
void vmt_live_report_rest(struct vmt_live_report *live);

/* How often the replay began anew so far, the first time included. */
unsigned vmt_live_report_beginnings(const struct vmt_live_report *live);

#endif
