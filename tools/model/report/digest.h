/*
 * digest.h: a report's events of the heap condensed, so that the next report need not replay them.
 *
 * Most events of a trace are of the heap, and what a report needs of them is where they led: from
 * one snapshot to the next, which figures of call sites rose, and which blocks came and went. A
 * digest has that, as folds. A fold stands for all events of the heap from the time of its first to
 * that of its last. The trace's other records are read and replayed as ever; chunks of events that
 * lie in folds are not read.
 *
 * Why a report is the same with folds, byte for byte:
 *   - a fold lies between two moments at which a report looks at the heap: snapshots, the moment
 *     from which growth counts, the ends of windows (report_window.c), loads of modules. One that
 *     has such a moment of this report within is not used, its events are read.
 *   - events of the heap touch nothing but the heap (replay/heap_change.h) and what stands in a
 *     fold one by one, in its place among the other events: new call sites, which are numbered in
 *     order; pages of large blocks; releases that the history marks.
 *   - every block is recorded, so all sums are of whole numbers. Other traces get no digest, nor do
 *     those with sampled page faults, functions that the process compiled, lost chunks, or rings
 *     that hold events.
 * Call sites have the numbers that they had when the digest was made, or it is refused.
 *
 * A state of the replay at a few moments was the other choice. It is spread over some twenty tables
 * with pointers, each of which would be read from untrusted bytes, and a moment between two of them
 * would still replay all events up to it. A fold needs few of them, and is small where blocks live
 * for a short time. Where a million live blocks change between two snapshots a fold is as dear as
 * the events: none is made for less than four events a live block.
 *
 * The bytes are untrusted. A reader that finds something wrong says -ESTALE: the report is begun
 * anew without it. More folds or call sites than the trace's events could make are wrong, so that
 * few bytes do not ask for much memory. One thread at a time; 0 or a negative errno.
 */
#ifndef VMT_DIGEST_H
#define VMT_DIGEST_H

#include "format/event.h"
#include "tools/byte_buffer.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/trace_record.h"

#define VMT_DIGEST_MOST_BYTES ((size_t)192 << 20)

struct vmt_digest_writer;
struct vmt_digest_reader;

/* Whether a digest of the trace would be right: of the draft's trace and options. */
bool vmt_digest_suits(const struct vmt_report_draft *draft);
/* How many events of the heap the trace has, by the headers of its chunks. */
uint64_t vmt_digest_heap_events(const struct vmt_report_draft *draft);

/* Folds have at least so many events. NULL: no memory. */
struct vmt_digest_writer *vmt_digest_writer_new(struct vmt_report_draft *draft, uint64_t least);
void vmt_digest_writer_free(struct vmt_digest_writer *writer);
/* Ticks: an event of the heap before that time is for vmt_digest_writer_note alone. */
uint64_t vmt_digest_writer_cut(const struct vmt_digest_writer *writer);
/* Before the records that the merge gives next. */
void vmt_digest_writer_look(struct vmt_digest_writer *writer);
/* A snapshot of that time. */
void vmt_digest_writer_snapshot(struct vmt_digest_writer *writer, uint64_t time);
/* Before and after an event is applied. After an event of the heap: note. */
int vmt_digest_writer_before(struct vmt_digest_writer *writer, const struct vmt_event *event);
void vmt_digest_writer_after(struct vmt_digest_writer *writer, const struct vmt_event *event);
void vmt_digest_writer_note(struct vmt_digest_writer *writer, const struct vmt_event *event);
/* Behind the last event: the digest, valid as long as the writer; NULL: there is none. */
const struct vmt_byte_buffer *vmt_digest_writer_finish(struct vmt_digest_writer *writer);

/* The folds that are of use to this report; NULL: none is, or no memory. The bytes are taken over.
 */
struct vmt_digest_reader *vmt_digest_reader_new(struct vmt_report_draft *draft,
						unsigned char *bytes, size_t count);
void vmt_digest_reader_free(struct vmt_digest_reader *reader);
/* The merge need not give what lies in folds. */
int vmt_digest_reader_leave_out(struct vmt_digest_reader *reader, struct vmt_err *err);
/* Ticks: events of the heap before that time are in no fold from here on. */
uint64_t vmt_digest_reader_next(const struct vmt_digest_reader *reader);
/* Before each record: applies what of folds comes before it. *is_folded: it is in one. */
int vmt_digest_reader_reach(struct vmt_digest_reader *reader, const struct vmt_record *record,
			    bool *is_folded);
/* Behind the last record. */
int vmt_digest_reader_finish(struct vmt_digest_reader *reader);

#endif
