/*
 * diff_go.h: why has a Go program more in RAM than before, or less?
 *
 * Compares what the RSS of two Go programs is made of (go_parts.h), where both are known. Bytes.
 * Pure functions.
 */
#ifndef VMT_DIFF_GO_H
#define VMT_DIFF_GO_H

#include "tools/model/diff/diff.h"

/* noise_bytes: a change of RSS up to that has no cause. */
void vmt_diff_go_compare(struct vmt_diff_go *go, const struct vmt_report *a,
			 const struct vmt_report *b, uint64_t noise_bytes);

#endif
