/*
 * report_args.h: options of report and diff: which moment, how many rows.
 *
 * Each returns 0, or -EINVAL with a message that names the option.
 */
#ifndef VMT_REPORT_ARGS_H
#define VMT_REPORT_ARGS_H

#include "tools/err.h"
#include "tools/model/report/report.h"
#include "tools/render/selection.h"

#include <stddef.h>

/* The options that choose rows, four in this order in a table of options. */
#define VMT_REPORT_ARGS_PATTERNS                                                                   \
	{"focus", 0, "REGEX", "only rows with a frame that matches: function, file:line, module"}, \
	    {"ignore", 0, "REGEX", "no rows with a frame that matches"},                           \
	    {"hide", 0, "REGEX", "leave frames out that match; their callers name the rows"},      \
	{                                                                                          \
		"match", 0, "TEXT", "only rows that show this text, or match it as a REGEX"        \
	}

#define VMT_REPORT_ARGS_SYSROOT                                                                    \
	{                                                                                          \
		"sysroot", 0, "DIR", "look up the files that a trace names below DIR"              \
	}

/* The option's value: a directory; NULL: none. */
int vmt_report_args_sysroot(const char *text, const char **sysroot, struct vmt_err *err);

/* The option's value: NULL (the default), "peak", "end", a time since the start, or of the day. */
int vmt_report_args_at(const char *option, const char *text, struct vmt_report_options *build,
		       struct vmt_err *err);

/* The option's value, a number; NULL leaves *count as it is. */
int vmt_report_args_count(const char *option, const char *text, size_t *count, struct vmt_err *err);

/* The four values of VMT_REPORT_ARGS_PATTERNS, in its order. To be freed, also after an error. */
int vmt_report_args_patterns(const char *const values[4], struct vmt_selection_patterns *patterns,
			     struct vmt_err *err);
bool vmt_report_args_has_patterns(const struct vmt_selection_patterns *patterns);
void vmt_report_args_patterns_free(struct vmt_selection_patterns *patterns);

#endif
