/*
 * diff_parts.h: which steps make a diff?
 *
 * For diff*.c alone. Each fills its part of a struct vmt_diff whose a and b are set.
 */
#ifndef VMT_DIFF_PARTS_H
#define VMT_DIFF_PARTS_H

#include "tools/model/diff.h"

#define VMT_DIFF_TRACER_CLASS "vmtrace"

/* Sites, unordered. 0 or -ENOMEM. */
int vmt_diff_parts_match(struct vmt_diff *diff);

/* Two standard deviations of the difference of two estimates; diff.h has the formula. */
uint64_t vmt_diff_parts_error(const struct vmt_diff *diff, double estimated_a, double estimated_b);

#endif
