/*
 * diff_caveats.h: what makes two traces less comparable
 */
#ifndef VMT_DIFF_CAVEATS_H
#define VMT_DIFF_CAVEATS_H

#include "tools/model/diff/diff.h"

#include <stddef.h>

/* The n-th thing that does, "" beyond the last. */
void vmt_diff_caveats_write(const struct vmt_diff *diff, unsigned n, char *text, size_t text_bytes);

#endif
