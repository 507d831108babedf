/*
 * go_sentences.h: what a report says of a Go program's memory, in sentences.
 *
 * How far RSS is above what GOGC intends, what debug.FreeOSMemory would give
 * back, and whether GOMEMLIMIT can hold. Nothing is said where nothing is known. The sentences are
 * those of the text report, of its page and of JSON ("diagnosis").
 */
#ifndef VMT_GO_SENTENCES_H
#define VMT_GO_SENTENCES_H

#include "tools/model/report/report.h"
#include "tools/render/sentence.h"

/* When the next collection is due, and what was live at the last one. */
void vmt_go_sentences_pace(struct vmt_sentence *sentence, const struct vmt_report *report);
/* How far RSS is from the goal by GOGC, and what it has beside objects. */
void vmt_go_sentences_above(struct vmt_sentence *sentence, const struct vmt_report *report);
void vmt_go_sentences_give_back(struct vmt_sentence *sentence, const struct vmt_report *report);
void vmt_go_sentences_limit(struct vmt_sentence *sentence, const struct vmt_report *report);

#endif
