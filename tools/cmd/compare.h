/*
 * compare.h: writes what two reports differ by, in one of the forms that there are.
 *
 * Of two traces (diff), or of one trace at two times (report --from --to).
 */
#ifndef VMT_COMPARE_H
#define VMT_COMPARE_H

#include "tools/cmd/fail_over.h"
#include "tools/err.h"
#include "tools/model/diff/diff.h"
#include "tools/model/report/report.h"
#include "tools/render/diff_selection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct vmt_compare;

struct vmt_compare_format {
	const char *name;
	size_t top; /* unless another number is asked for */
	int (*write)(const struct vmt_diff *diff, const struct vmt_diff_selection *selection,
		     const struct vmt_compare *compare, FILE *out, struct vmt_err *err);
	bool history; /* it shows the figures of the other snapshots too */
};

/* The table ends with a NULL name. */
extern const struct vmt_compare_format vmt_compare_formats[];

/* The format of that name, text where name is NULL; NULL with a message where there is none. */
const struct vmt_compare_format *vmt_compare_find_format(const char *name, struct vmt_err *err);

struct vmt_compare {
	struct vmt_report *reports[2]; /* frames that are to be hidden are taken out of them */
	const char *paths[2];
	const char *output;		    /* a file; NULL: standard output */
	enum vmt_report_at at;		    /* of which moment both are */
	const struct vmt_fail_over *limits; /* NULL: none */
	size_t top;			    /* rows of call sites */
	size_t callers;			    /* below each row of text */
	const struct vmt_compare_format *format;
	const struct vmt_selection_patterns *patterns; /* which rows are shown; NULL: all */
};

/* 0; 1 where a limit is exceeded; or a negative errno. */
int vmt_compare_write(const struct vmt_compare *compare, struct vmt_err *err);

#endif
