/*
 * diff_match.h: pairs the sites of two reports, in rounds.
 *
 * In rounds, by keys that leave out more and more (diff_key.h). Called by diff_build.c, for a
 * struct vmt_diff whose a and b are set.
 */
#ifndef VMT_DIFF_MATCH_H
#define VMT_DIFF_MATCH_H

#include "tools/model/diff/diff.h"

/* Fills in the sites, unordered. 0 or -ENOMEM. */
int vmt_diff_match_sites(struct vmt_diff *diff);

#endif
