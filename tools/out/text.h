/*
 * text.h: what does a person read about a process's memory?
 *
 * A report as text, the most useful sentence first. Writes to one stream, allocates nothing that
 * outlives the call. The caller finds out the width and whether there is color.
 */
#ifndef VMT_TEXT_OUT_H
#define VMT_TEXT_OUT_H

#include "tools/model/report/report.h"
#include "tools/out/layout.h"
#include "tools/out/rank.h"

#define VMT_TEXT_DEFAULT_TOP 12u
#define VMT_TEXT_DEFAULT_CALLERS 3u

struct vmt_text_options {
	struct vmt_layout layout;
	enum vmt_rank_by rank;
	size_t top;	/* rows of each list */
	size_t callers; /* below each row */
	/* Traces of what the process went on as by exec; NULL or "" where not known. */
	const char *next_image;
	const char *last_image;
};

void vmt_text_print(const struct vmt_report *report, const struct vmt_text_options *options);

/* "function file:line", or "module+0x12", as far as known. Returns result. */
char *vmt_text_frame(const struct vmt_frame *frame, char *result, size_t result_bytes);

/* The same in `columns`: of a long name the middle goes, never the file and line, should they be
 * wider. */
char *vmt_text_short_frame(const struct vmt_layout *layout, const struct vmt_frame *frame,
			   char *result, size_t result_bytes, size_t columns);

/* The frame that names a stack that has frames, and, where that has no name itself, the nearest
 * caller that has. Returns result. */
char *vmt_text_owner(const struct vmt_stack_frames *stack, char *result, size_t result_bytes);

#endif
