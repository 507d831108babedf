/*
 * folded.h: a report as folded stacks.
 *
 * One line a stack, as flame graph tools take them: frames from the outermost on, separated by
 * semicolons, a blank, a whole number (bytes, or how many). A semicolon in a name becomes a colon.
 * Lines are in the order of their characters, and no two have the same stack. All rows of profile.h
 * that are not 0 are there: of committed_space the numbers add up to RSS.
 */
#ifndef VMT_FOLDED_H
#define VMT_FOLDED_H

#include "tools/export/profile.h"

#include <stdio.h>

int vmt_folded_write(const struct vmt_report *report, enum vmt_metric metric, FILE *out,
		     struct vmt_err *err);

#endif
