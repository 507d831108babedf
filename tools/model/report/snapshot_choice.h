/*
 * snapshot_choice.h: which snapshot a report is about.
 *
 * Internal to model/. One thread at a time.
 */
#ifndef VMT_SNAPSHOT_CHOICE_H
#define VMT_SNAPSHOT_CHOICE_H

#include "tools/model/report/report_draft.h"

/* By draft->options. *chosen points into the trace, NULL where it has no snapshot. 0 or a
 * negative errno: -ENODATA where the first one is later than what was asked for. */
int vmt_snapshot_choice_find(struct vmt_report_draft *draft, const struct vmt_trace_chunk **chosen,
			     struct vmt_err *err);

/* Once the report knows where its trace ends: sets snapshot.after_end. 0 or -ENODATA, where a time
 * of day was before the start of the trace and is not in it on the next day. */
int vmt_snapshot_choice_check(struct vmt_report_draft *draft, struct vmt_err *err);

#endif
