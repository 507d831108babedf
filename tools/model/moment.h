/*
 * moment.h: which snapshot of a trace is the report about?
 *
 * Internal to model/. One thread at a time.
 */
#ifndef VMT_MOMENT_H
#define VMT_MOMENT_H

#include "tools/model/building.h"

/* By building->options. *chosen points into the trace, NULL where it has no snapshot. 0 or a
 * negative errno: -ENODATA where the first one is later than what was asked for. */
int vmt_moment_choose(struct vmt_building *building, const struct vmt_trace_chunk **chosen,
		      struct vmt_err *err);

#endif
