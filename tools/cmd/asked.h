/*
 * asked.h: what do options say that several commands have?
 *
 * Each returns 0, or -EINVAL with a message that names the option.
 */
#ifndef VMT_ASKED_H
#define VMT_ASKED_H

#include "tools/err.h"
#include "tools/model/report/report.h"

#include <stddef.h>

/* The option's value: NULL (the default), "peak", "end", a time since the start, or of the day. */
int vmt_asked_at(const char *option, const char *text, struct vmt_report_options *build,
		 struct vmt_err *err);

/* The option's value, a number; NULL leaves *count as it is. */
int vmt_asked_count(const char *option, const char *text, size_t *count, struct vmt_err *err);

#endif
