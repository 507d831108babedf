/*
 * diff_headline_touch.h: who touched what is committed now, for a diff's first sentence.
 */
#ifndef VMT_DIFF_HEADLINE_TOUCH_H
#define VMT_DIFF_HEADLINE_TOUCH_H

#include "tools/model/diff/diff.h"
#include "tools/render/sentence.h"

/* Where one toucher explains half of a change of committed, and more: ", first touched by ...". */
void vmt_diff_headline_touch_say(struct vmt_sentence *sentence, const struct vmt_diff *diff);

#endif
