/*
 * merge.h: all records of a trace in exact time order.
 *
 * One stream of records in time order out of a trace's chunks and rings. Events reach the file out
 * of order (several rings, and a writer may stop between its clock reading and its claim). Every
 * chunk says the time of its earliest record, and a chunk is decoded, a block of records at a time,
 * only when the stream gets there: so the order is exact, and what is held is the payloads of the
 * chunks that overlap one instant, however late a straggler reached the file.
 *
 * Equal times: releases, acquisitions, notes, then usage, then snapshots; then by place in the
 * file. One thread's; the trace must outlive it. Errors: a chunk that belies its header ends the
 * stream.
 */
#ifndef VMT_MERGE_H
#define VMT_MERGE_H

#include "tools/read/trace/trace.h"
#include "tools/read/trace/trace_record.h"

struct vmt_merge;

int vmt_merge_open(struct vmt_merge **merge, struct vmt_trace *trace, struct vmt_err *err);
/* The same without the chunks whose records all lie before that time, in ns since the start of the
 * trace, as their headers say. Those of sampled page faults are there, as their order numbers the
 * stacks. So records before that time still come. */
int vmt_merge_open_from(struct vmt_merge **merge, struct vmt_trace *trace, int64_t from_ns,
			struct vmt_err *err);
/* A merge of a trace that grows: no record of `until` (ticks) and later is given, and what the
 * rings hold is left out, until vmt_merge_finish. Both of them, and extend, before a next batch
 * alone. */
int vmt_merge_open_until(struct vmt_merge **merge, struct vmt_trace *trace, uint64_t until,
			 struct vmt_err *err);
/* Takes the chunks that vmt_trace_refresh has found, and gives records up to a later time. -ESTALE,
 * without a message: one of them has records from before the time so far. */
int vmt_merge_extend(struct vmt_merge *merge, struct vmt_err *err);
/* Not before the time so far. */
void vmt_merge_set_until(struct vmt_merge *merge, uint64_t until);
/* The earliest event that the rings hold; UINT64_MAX: none. */
uint64_t vmt_merge_ring_min(const struct vmt_merge *merge);
/* Gives all that is left, what the rings hold too. */
void vmt_merge_finish(struct vmt_merge *merge);

/* From now on chunks of events are decoded by a second thread before they are needed, where there
 * are many, and a CPU for it. The records are the same. For a merge that was just opened, and is
 * not extended. The thread is over after the last record, or by close. A child that is forked
 * before that must leave the merge alone. */
void vmt_merge_read_ahead(struct vmt_merge *merge);

/* A stretch of time, in ticks: from the first to the last. */
struct vmt_merge_span {
	uint64_t first;
	uint64_t last;
};

/* Leaves out chunks of events of the heap that lie within a span, by their headers. Some events of
 * a span still come. The spans rise. For a merge that was just opened. */
int vmt_merge_leave_out(struct vmt_merge *merge, const struct vmt_merge_span *spans, size_t count,
			struct vmt_err *err);

/* From now on it is looked whether chunks of the heap's rings have events of the heap alone, as
 * late as their headers say: it is regular where all had. */
void vmt_merge_watch(struct vmt_merge *merge);
bool vmt_merge_is_regular(const struct vmt_merge *merge);

void vmt_merge_close(struct vmt_merge *merge);

/* Next record; kind VMT_RECORD_END after the last. */
int vmt_merge_next(struct vmt_merge *merge, struct vmt_record *record, struct vmt_err *err);

/* The next records, as many as are at hand; *count is 0 after the last. Valid until the next call.
 * Whoever takes records one by one takes no batches. */
int vmt_merge_next_batch(struct vmt_merge *merge, const struct vmt_record *const **records,
			 size_t *count, struct vmt_err *err);

/* How many events so far were of a kind that is not known, and may be skipped: they are records,
 * and mean nothing. One that may not be skipped is an error. */
uint64_t vmt_merge_events_unknown(const struct vmt_merge *merge);

/* How many of the trace's chunks were decoded so far, for who wants to know how far it got. */
size_t vmt_merge_chunks_opened(const struct vmt_merge *merge);

#endif
