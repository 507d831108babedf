/*
 * diff_live.h: live objects by Go line in two reports, compared.
 *
 * The lines of each report are matched as call sites are (diff_match.h): as sites of kind "live"
 * whose committed bytes are those of the objects, about.
 */
#ifndef VMT_DIFF_LIVE_H
#define VMT_DIFF_LIVE_H

#include "tools/model/diff/diff.h"

/* Fills in diff->live, where both reports know the lines. 0 or -ENOMEM. */
int vmt_diff_live_build(struct vmt_diff *diff);

#endif
