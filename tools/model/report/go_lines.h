/*
 * go_lines.h: rows by Go line, out of stacks that each stand for some bytes.
 *
 * The line is the innermost one that is not the runtime's own: what allocates for others is no
 * answer to who did. A row then goes on to callers, as far as more than half of its bytes came
 * through them. One thread at a time.
 */
#ifndef VMT_GO_LINES_H
#define VMT_GO_LINES_H

#include "tools/model/report/frames.h"

#define VMT_GO_LINES_FRAMES 8u /* the line, and callers */

struct vmt_go_line {
	struct vmt_frame path[VMT_GO_LINES_FRAMES]; /* from the line on outwards */
	uint32_t frames;
	double bytes;
	size_t item; /* the caller's: what it stands for */
};

/* Fills in path and frames. addresses: return addresses, innermost first. 0 or -ENOMEM. */
int vmt_go_lines_name(struct vmt_go_line *line, struct vmt_frames *frames,
		      const uint64_t *addresses, uint32_t count);

/* Those of one line stand together then. */
void vmt_go_lines_sort(struct vmt_go_line *lines, size_t count);

/* How many, from the first on, are of its line. */
size_t vmt_go_lines_alike(const struct vmt_go_line *lines, size_t count);

/* The row of lines that are alike: no frames where the runtime kept no stack. To be freed by the
 * caller. 0 or -ENOMEM. */
int vmt_go_lines_stack(const struct vmt_go_line *lines, size_t count,
		       struct vmt_stack_frames *stack);

#endif
