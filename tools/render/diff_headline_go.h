/*
 * diff_headline_go.h: why a Go program has more in RAM, or less, in sentences.
 *
 * Nothing is said where it is not known.
 */
#ifndef VMT_DIFF_HEADLINE_GO_H
#define VMT_DIFF_HEADLINE_GO_H

#include "tools/model/diff/diff.h"
#include "tools/render/sentence.h"

void vmt_diff_headline_go_say(struct vmt_sentence *sentence, const struct vmt_diff *diff);

#endif
