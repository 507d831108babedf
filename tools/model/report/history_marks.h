/*
 * history_marks.h: when was memory given back, or the kernel told how it is used?
 *
 * Internal to report/. Events come in the order of time. Those of one call in one of
 * VMT_HISTORY_MARK_PARTS equal parts of the recording become one mark, so that memory is bounded.
 * Functions return 0 or -ENOMEM.
 */
#ifndef VMT_HISTORY_MARKS_H
#define VMT_HISTORY_MARKS_H

#include "tools/model/report/report_draft.h"

/* Threads whose last release may still be undone: slots by id, modulo this number. */
#define VMT_HISTORY_MARKS_THREADS 256u

/* NULL: no memory. */
struct vmt_history_marks *vmt_history_marks_new(struct vmt_trace *trace);
void vmt_history_marks_free(struct vmt_history_marks *marks);

/* An event, which the replay has applied. marks: NULL: nobody wants them. */
int vmt_history_marks_note(struct vmt_history_marks *marks, const struct vmt_event *event);

/* The last release of the threads of that slot can not be undone any more. */
void vmt_history_marks_clear(struct vmt_history_marks *marks, uint32_t slot);

/* Into the history of the draft's report, whose rows of advice are filled in. */
int vmt_history_marks_fill(struct vmt_report_draft *draft);

#endif
