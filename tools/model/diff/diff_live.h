/*
 * diff_live.h: live and large objects by Go line in two reports, compared.
 *
 * The lines of each report are matched as call sites are (diff_match.h): as sites of kind "live"
 * whose committed bytes are those of the objects, about.
 */
#ifndef VMT_DIFF_LIVE_H
#define VMT_DIFF_LIVE_H

#include "tools/model/diff/diff.h"

/* Fills in diff->live and diff->large, where both reports know the lines. Of a row of large, how
 * samples scatter is told by what its objects have on average. 0 or -ENOMEM. */
int vmt_diff_live_build(struct vmt_diff *diff);

#endif
