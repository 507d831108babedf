/*
 * untraced_records.h: what a trace tells of processes that have none (format/untraced.h)
 *
 * Bytes are untrusted: times and figures may be anything. One thread at a time.
 */
#ifndef VMT_UNTRACED_RECORDS_H
#define VMT_UNTRACED_RECORDS_H

#include "format/untraced.h"
#include "tools/read/trace/trace.h"

/* Visits each record, in the file's order, until one is refused. */
void vmt_untraced_records_each(struct vmt_trace *trace,
			       bool (*visit)(void *context, const struct vmt_untraced *record),
			       void *context);

/* When it was gone at the latest: of one that was observed while it ran, and got no trace after
 * that, the time at which it would have got one. INT64_MAX: not known. */
int64_t vmt_untraced_records_end(const struct vmt_untraced *record);

#endif
