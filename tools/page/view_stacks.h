/*
 * view_stacks.h: many stacks as columns of strings, frames and one prefix tree.
 *
 * What the page's data says of stacks (docs/view-format.md): equal strings, equal frames and equal
 * beginnings of stacks, from the outermost caller inward, are kept once. Numbers are given in the
 * order of first use, so that the same stacks give the same columns. Strings and frames are
 * borrowed and must outlive it. One thread's.
 */
#ifndef VMT_VIEW_STACKS_H
#define VMT_VIEW_STACKS_H

#include "tools/model/report/report.h"
#include "tools/render/emitter.h"

#include <stddef.h>
#include <stdint.h>

struct vmt_view_stacks;

/* NULL: no memory. */
struct vmt_view_stacks *vmt_view_stacks_new(void);
void vmt_view_stacks_free(struct vmt_view_stacks *stacks);

/* The node of a stack's innermost frame; 0, the root, of a stack without frames. At most `deepest`
 * frames are taken, the outermost ones. 0 or -ENOMEM. */
int vmt_view_stacks_add(struct vmt_view_stacks *stacks, const struct vmt_stack_frames *stack,
			size_t deepest, uint32_t *node);

/* Members "strings", "frames" and "nodes" of the open object. */
void vmt_view_stacks_write(const struct vmt_view_stacks *stacks, struct vmt_emitter *emitter);

#endif
