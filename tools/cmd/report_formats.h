/*
 * report_formats.h: the forms in which a report can be written.
 *
 * A table of formats, found by name. A format reads the report and what was asked for, and writes
 * to the file. It never looks at a trace.
 */
#ifndef VMT_REPORT_FORMATS_H
#define VMT_REPORT_FORMATS_H

#include "tools/err.h"
#include "tools/export/profile.h"
#include "tools/model/report/report.h"
#include "tools/render/rank.h"
#include "tools/render/selection.h"
#include "tools/render/text_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What was asked for. */
struct vmt_report_view {
	const char *path; /* of the trace */
	enum vmt_rank_by rank;
	size_t top;	/* rows of each list */
	size_t callers; /* below each row of text */
	enum vmt_aggregate_by by;
	enum vmt_text_tree tree;
	const struct vmt_selection *selection; /* NULL: no row and no frame is left out */
	enum vmt_metric metric;		       /* of formats that show one */
};

struct vmt_report_format {
	const char *name;
	bool is_binary;	   /* not for a terminal */
	bool history;	   /* the figures of all snapshots */
	bool has_rows;	   /* which options choose and sort */
	bool has_metric;   /* which an option chooses */
	bool lacks_losses; /* has no place to say what was lost */
	size_t top;	   /* rows, unless another number is asked for */
	int (*write)(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
		     struct vmt_err *err);
};

/* The table ends with a NULL name. The first is the default. */
extern const struct vmt_report_format vmt_report_formats[];

/* The format of that name, text where name is NULL; NULL with a message where there is none. */
const struct vmt_report_format *vmt_report_formats_find(const char *name, struct vmt_err *err);

#endif
