/*
 * view_history.h: the moments of the page's data.
 *
 * Writes what the history of a report (history.h) has, in columns: the classes of every snapshot,
 * and of the chosen ones the rows of call sites and the map. A report without a history has one
 * moment, its own. One thread's.
 */
#ifndef VMT_VIEW_HISTORY_H
#define VMT_VIEW_HISTORY_H

#include "tools/model/report/report.h"
#include "tools/page/view_sites.h"
#include "tools/render/emitter.h"

struct vmt_view_history {
	const struct vmt_report *report;
	struct vmt_history own; /* of a report without one */
	const struct vmt_history *history;
	const size_t *advice_rows; /* of the page, by row of the report; NULL: the same */
	bool is_used[VMT_CLASSES]; /* by anything of the report */
	int numbers[VMT_CLASSES];  /* of the classes that are; else -1 */
};

/* 0 or -ENOMEM. Freed in either case. */
int vmt_view_history_begin(struct vmt_view_history *view, const struct vmt_report *report);
void vmt_view_history_free(struct vmt_view_history *view);

/* The number of a class by its name; -1: none. */
int vmt_view_history_class(const struct vmt_view_history *view, const char *name);

/* Members "classes", "snapshots", "report_snapshot" and "class_line" of the open object. 0 or
 * -ENOMEM. */
int vmt_view_history_write(const struct vmt_view_history *view, const struct vmt_view_sites *sites,
			   struct vmt_emitter *emitter);

#endif
