/*
 * json_history.h: the figures of every snapshot, as JSON.
 *
 * Member `history` of a report: docs/trace-format.md.
 */
#ifndef VMT_JSON_HISTORY_H
#define VMT_JSON_HISTORY_H

#include "tools/model/report/report.h"
#include "tools/render/emitter.h"

struct vmt_json_history {
	const struct vmt_report *report; /* whose history it is */
	const struct vmt_report *shown;	 /* with the sites that may be printed, in the same order */
	const struct vmt_site *const *rows; /* of these, as they were printed */
	size_t count;
};

/* 0 or -ENOMEM. */
int vmt_json_history_print(struct vmt_emitter *emitter, const struct vmt_json_history *history);

#endif
