/*
 * compare.h: prints what two reports differ by, as text or JSON.
 *
 * Of two traces (diff), or of one trace at two times (report --from --to).
 */
#ifndef VMT_COMPARE_H
#define VMT_COMPARE_H

#include "tools/cmd/fail_over.h"
#include "tools/err.h"
#include "tools/model/report/report.h"

#include <stddef.h>

struct vmt_compare {
	const struct vmt_report *reports[2];
	const char *paths[2];
	enum vmt_report_at at;		    /* of which moment both are */
	const struct vmt_fail_over *limits; /* NULL: none */
	size_t top;			    /* rows of call sites */
	size_t callers;			    /* below each row of text */
	bool json;
};

/* 0; 1 where a limit is exceeded; or a negative errno. */
int vmt_compare_print(const struct vmt_compare *compare, struct vmt_err *err);

#endif
