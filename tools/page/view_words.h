/*
 * view_words.h: what the page says in the text report's own words.
 *
 * Sentences and short lists are made by the code that makes the text report: the two cannot differ.
 * docs/view-format.md has the keys. One thread's.
 */
#ifndef VMT_VIEW_WORDS_H
#define VMT_VIEW_WORDS_H

#include "tools/model/diff/diff.h"
#include "tools/model/report/report.h"
#include "tools/render/emitter.h"

/* Into the object that is open. path: of the trace. 0 or -ENOMEM. */
int vmt_view_words_write(const struct vmt_report *report, const char *path,
			 struct vmt_emitter *emitter);

/* Member "text" of the open object: parts of the text of a diff. 0 or -ENOMEM. */
int vmt_view_words_diff(const struct vmt_diff *diff, struct vmt_emitter *emitter);

/* Which frames of a stack the text report shows, as a list of their places from the innermost: the
 * one that names the row, then its callers. An empty list: the first ones as they are. stack: NULL
 * gives that too. */
void vmt_view_words_frames(const struct vmt_stack_frames *stack, struct vmt_emitter *emitter);

#endif
