/*
 * diff_touch.h: who touched memory in two reports, compared.
 *
 * The committers of each report whom samples name are matched as call sites are (diff_match.h): as
 * sites of kind "touch" whose committed bytes are what they made resident.
 */
#ifndef VMT_DIFF_TOUCH_H
#define VMT_DIFF_TOUCH_H

#include "tools/model/diff/diff.h"

/* Fills in diff->touch, where page faults were sampled in both reports. 0 or -ENOMEM. */
int vmt_diff_touch_build(struct vmt_diff *diff);

#endif
