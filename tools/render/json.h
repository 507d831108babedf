/*
 * json.h: a report as JSON.
 *
 * A report as one JSON document, schema "vmtrace-report/1": an interface, so keys are added and
 * never change their meaning. Sizes are whole bytes, times nanoseconds, addresses "0x..." strings;
 * null = the system did not say.
 */
#ifndef VMT_JSON_H
#define VMT_JSON_H

#include "tools/model/report/report.h"
#include "tools/render/aggregate.h"
#include "tools/render/emitter.h"
#include "tools/render/rank.h"
#include "tools/render/selection.h"

#include <stdio.h>

struct vmt_json_options {
	enum vmt_rank_by rank;
	size_t top;			       /* sites; SIZE_MAX = all */
	enum vmt_aggregate_by by;	       /* VMT_AGGREGATE_NONE: nothing is added up */
	const struct vmt_selection *selection; /* NULL: all rows */
};

int vmt_json_print(const struct vmt_report *report, const struct vmt_json_options *options,
		   FILE *out, struct vmt_err *err);

#endif
