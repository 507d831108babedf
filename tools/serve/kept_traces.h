/*
 * kept_traces.h: what was replayed of running traces, kept from one answer to the next.
 *
 * So an answer costs what is new in the traces. The replays are kept in a process that stays;
 * reports are made of copies of them in a child (live_report.h). At most VMT_KEPT_TRACES_MOST are
 * kept, and as long as the process has no more than a bound of memory: the replay with which it has
 * more is dropped. What is not kept is read from its beginning for each report. A replay is kept
 * until the trace's process is seen to run no longer.
 *
 * Traces are untrusted: one that can't be read is tried again at the next answer. One thread's.
 */
#ifndef VMT_KEPT_TRACES_H
#define VMT_KEPT_TRACES_H

#include "tools/model/report/live_report.h"
#include "tools/serve/running_traces.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_KEPT_TRACES_MOST 128u

struct vmt_kept_traces;

/* most_bytes: of writable memory that this process has. NULL: no memory. */
struct vmt_kept_traces *vmt_kept_traces_new(uint64_t most_bytes);
void vmt_kept_traces_free(struct vmt_kept_traces *kept);

/* Drops the replays of all traces that are not among these. */
void vmt_kept_traces_drop_others(struct vmt_kept_traces *kept,
				 const struct vmt_running_traces *running);

/* Reads what is new of a trace, and keeps it where it can. symbols: a report with the names of
 * functions is to come, which are kept from then on. */
void vmt_kept_traces_read(struct vmt_kept_traces *kept, const struct vmt_running_trace *trace,
			  bool symbols);

/* Before (true) and after (false) the child is made. */
void vmt_kept_traces_fork(struct vmt_kept_traces *kept, bool with_it);

/* A report, whose ever it is. */
struct vmt_kept_report {
	const struct vmt_report *report;
	struct vmt_report *own;	      /* NULL: that of live */
	struct vmt_live_report *live; /* NULL: it was not kept */
};

/* In the child, once for each trace: its report, out of what is kept where there is that. 0, or a
 * negative errno and a message. Freed by vmt_kept_report_free in either case. */
int vmt_kept_traces_report(struct vmt_kept_traces *kept, const struct vmt_running_trace *trace,
			   bool symbols, struct vmt_kept_report *report, struct vmt_err *err);
void vmt_kept_report_free(struct vmt_kept_report *report);

/* How many replays there are. */
size_t vmt_kept_traces_count(const struct vmt_kept_traces *kept);

#endif
