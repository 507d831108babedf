/*
 * diff_headline_outside.h: what of a change is in RAM or in swap and not in RSS, for a diff's first
 * sentence.
 *
 * Huge pages of hugetlbfs and swapped pages are in no figure of committed memory: what is requested
 * and not committed may be there, and what is not committed any more may have gone there.
 */
#ifndef VMT_DIFF_HEADLINE_OUTSIDE_H
#define VMT_DIFF_HEADLINE_OUTSIDE_H

#include "tools/model/diff/diff.h"
#include "tools/render/sentence.h"

/* Whether any of it changed. */
bool vmt_diff_headline_outside_has_change(const struct vmt_diff *diff);

/* What the verdict means, where this explains a part of it; else NULL. */
const char *vmt_diff_headline_outside_meaning(const struct vmt_diff *diff);

/* Sentences of their own, each after a space. */
void vmt_diff_headline_outside_say(struct vmt_sentence *sentence, const struct vmt_diff *diff);

#endif
