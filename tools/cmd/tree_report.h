/*
 * tree_report.h: a report about several traces.
 *
 * Reads them, builds a tree and hands it to an output. One thread's.
 */
#ifndef VMT_TREE_REPORT_H
#define VMT_TREE_REPORT_H

#include "tools/cmd/options.h"
#include "tools/err.h"
#include "tools/model/tree/tree.h"

#include <stddef.h>

struct vmt_tree_report {
	char *const *operands; /* files and directories */
	int operand_count;
	const char *format; /* as it was asked for; NULL: text */
	const char *output;
	bool has_no_place;   /* the files go when it is written: they are not named */
	const char *group;   /* "exe", "title"; NULL: by title */
	const char *at;	     /* "peak", "end", a time since the start; NULL: now or the peak */
	const char *top;     /* a number; NULL: what the format has */
	const char *sysroot; /* where the files that traces name are looked up; NULL: / */
	size_t most;	     /* files that are looked at */
};

/* Whether the operands call for such a report: several, or a directory. */
bool vmt_tree_report_is_for(char *const *operands, int count);

int vmt_tree_report_write(const struct vmt_tree_report *wanted, struct vmt_err *err);

#endif
