/*
 * diff_headline.h: the first sentence of a diff.
 */
#ifndef VMT_DIFF_HEADLINE_H
#define VMT_DIFF_HEADLINE_H

#include "tools/model/diff/diff.h"
#include <stddef.h>

/* After what makes it worth little: "Reserved flat at 1.28 GiB, committed +384 MiB (+45 %), nearly
 * all of it in class Go heap: memory that was reserved before is now touched. ...". */
void vmt_diff_headline_write(const struct vmt_diff *diff, char *text, size_t text_bytes);

#endif
