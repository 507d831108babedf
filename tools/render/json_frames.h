/*
 * json_frames.h: a stack's frames as JSON, and by which of them rows are chosen.
 */
#ifndef VMT_JSON_FRAMES_H
#define VMT_JSON_FRAMES_H

#include "tools/model/report/report.h"
#include "tools/render/emitter.h"
#include "tools/render/selection.h"

/* The array "frames" of an object; a frame's address means nothing beyond its own run. */
void vmt_json_frames_print(struct vmt_emitter *emitter, const struct vmt_stack_frames *stack,
			   bool addresses);

/* The keys focus, ignore, hide and match of an object; null where not asked for. */
void vmt_json_frames_patterns(struct vmt_emitter *emitter,
			      const struct vmt_selection_patterns *patterns);

#endif
