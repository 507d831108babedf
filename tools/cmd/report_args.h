/*
 * report_args.h: options of report and diff: which moment, how many rows.
 *
 * Each returns 0, or -EINVAL with a message that names the option.
 */
#ifndef VMT_REPORT_ARGS_H
#define VMT_REPORT_ARGS_H

#include "tools/err.h"
#include "tools/model/report/report.h"

#include <stddef.h>

/* The option's value: NULL (the default), "peak", "end", a time since the start, or of the day. */
int vmt_report_args_at(const char *option, const char *text, struct vmt_report_options *build,
		       struct vmt_err *err);

/* The option's value, a number; NULL leaves *count as it is. */
int vmt_report_args_count(const char *option, const char *text, size_t *count, struct vmt_err *err);

#endif
