/*
 * view_words.h: what the page says in the text report's own words.
 *
 * Sentences and short lists are made by the code that makes the text report: the two cannot differ.
 * docs/view-format.md has the keys. One thread's.
 */
#ifndef VMT_VIEW_WORDS_H
#define VMT_VIEW_WORDS_H

#include "tools/model/report/report.h"
#include "tools/render/emitter.h"

/* Into the object that is open. path: of the trace. 0 or -ENOMEM. */
int vmt_view_words_write(const struct vmt_report *report, const char *path,
			 struct vmt_emitter *emitter);

#endif
