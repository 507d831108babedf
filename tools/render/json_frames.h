/*
 * json_frames.h: a stack's frames as JSON.
 */
#ifndef VMT_JSON_FRAMES_H
#define VMT_JSON_FRAMES_H

#include "tools/model/report/report.h"
#include "tools/render/emitter.h"

/* The array "frames" of an object; a frame's address means nothing beyond its own run. */
void vmt_json_frames_print(struct vmt_emitter *emitter, const struct vmt_stack_frames *stack,
			   bool addresses);

#endif
