/*
 * diff_json.h: a diff as JSON.
 *
 * One JSON document, schema "vmtrace-diff/1": an interface, so keys are added and never change
 * their meaning. Sizes are whole bytes; each figure is an object of "a", "b" and "delta" (b - a).
 */
#ifndef VMT_DIFF_JSON_H
#define VMT_DIFF_JSON_H

#include "tools/model/diff/diff.h"
#include "tools/render/diff_selection.h"

#include <stdio.h>

struct vmt_diff_json_options {
	const char *paths[2];			    /* of A and B, as the user named them */
	size_t top;				    /* sites; SIZE_MAX = all */
	const struct vmt_diff_selection *selection; /* NULL: all rows */
};

int vmt_diff_json_print(const struct vmt_diff *diff, const struct vmt_diff_json_options *options,
			FILE *out, struct vmt_err *err);

#endif
