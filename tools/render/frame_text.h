/*
 * frame_text.h: a stack's frames as text.
 *
 * For one line each. Stateless, thread safe.
 */
#ifndef VMT_FRAME_TEXT_H
#define VMT_FRAME_TEXT_H

#include "tools/model/report/report.h"
#include "tools/render/layout.h"

/* "function file:line", or "module+0x12", as far as known. Returns result. */
char *vmt_frame_text_write(const struct vmt_frame *frame, char *result, size_t result_bytes);

/* The same in `columns`: of a long name the middle goes, never the file and line, should they be
 * wider. */
char *vmt_frame_text_fit(const struct vmt_layout *layout, const struct vmt_frame *frame,
			 char *result, size_t result_bytes, size_t columns);

/* The frame that names a stack that has frames, and, where that has no name itself, the nearest
 * caller that has. Returns result. */
char *vmt_frame_text_owner(const struct vmt_stack_frames *stack, char *result, size_t result_bytes);

#endif
