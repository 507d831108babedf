/*
 * history_build.h: fills the history of a report while its trace is read.
 *
 * Internal to report/. First the plan; then, in time order, each snapshot once the events before it
 * are replayed, the report's own one by what was joined for it; last, when the report's sites are
 * rows, the figures become the report's. Nothing of the report or the replay changes by a look.
 * Functions return 0 or a negative errno.
 *
 * A look costs about what lies in memory then: mappings, runs, live blocks, sites. The line leaves
 * snapshots out where all looks together would take longer than a few seconds; which ones depends
 * on the trace alone.
 */
#ifndef VMT_HISTORY_BUILD_H
#define VMT_HISTORY_BUILD_H

#include "tools/model/report/report_draft.h"

/* None is built where it was not asked for, and where `own` is NULL. */
int vmt_history_build_plan(struct vmt_report_draft *draft, const struct vmt_trace_chunk *own);

/* Whether that snapshot, the next in time, is to be looked at: it costs `runs` and more. */
bool vmt_history_build_wants(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
			     const struct vmt_snapshot *snapshot);
/* It is. options are those of a join with it. */
int vmt_history_build_look(struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot,
			   struct vmt_attribution_options *options);

/* The report's own: set up before its join, taken after it. */
void vmt_history_build_watch(struct vmt_report_draft *draft,
			     struct vmt_attribution_options *options);
void vmt_history_build_own(struct vmt_report_draft *draft);

int vmt_history_build_fill(struct vmt_report_draft *draft);
void vmt_history_build_free(struct vmt_report_draft *draft);

/* Of a report. */
void vmt_history_free(struct vmt_history *history);

#endif
