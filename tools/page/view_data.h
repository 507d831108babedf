/*
 * view_data.h: the page's data: one report, or two and what they differ by.
 *
 * Writes vmtrace-view/1 (docs/view-format.md): the report's JSON without its sites, and these with
 * the history of the report in columns. Where there are very many sites the smallest are added to
 * their callers: the sums stay exact. One thread's.
 */
#ifndef VMT_VIEW_DATA_H
#define VMT_VIEW_DATA_H

#include "tools/err.h"
#include "tools/model/diff/diff.h"
#include "tools/model/report/report.h"

#include <stddef.h>
#include <stdio.h>

struct vmt_view_data {
	const struct vmt_report *reports[2]; /* a diff's: first the one before */
	const char *paths[2];		     /* of their traces */
	const struct vmt_diff *diff;	     /* NULL: one report */
	const char *headline;		     /* of the diff; NULL: the report's own */
	const char *version;		     /* of vmtrace */
	size_t most_sites;		     /* so many are kept apart, in each report */
	size_t most_rows;		     /* of each other list */
	size_t most_bytes;		     /* of the file; 0: VMT_REPORT_PAGE_MOST_BYTES */
	size_t folded_depth;		     /* so many outermost callers of the others stay */
};

/* 0, or a negative errno with a message. Errors of writing stay in json. */
int vmt_view_data_write(const struct vmt_view_data *data, FILE *json, struct vmt_err *err);

#endif
