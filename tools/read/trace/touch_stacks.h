/*
 * touch_stacks.h: the stacks of a trace's sampled page faults, each kept once.
 *
 * TOUCH chunks bring their own stacks, and most are the same from chunk to chunk. A reference is
 * what a sample of a decoded record has; it leads to the one copy, whose number is its id (from 1
 * on; 0 is no stack). Frames are as those of the stack table: addresses behind the call, so that
 * `address - 1` is looked up. The first one is therefore one more than the instruction that
 * touched. Memory is bounded by the trace's size. One thread at a time.
 */
#ifndef VMT_TOUCH_STACKS_H
#define VMT_TOUCH_STACKS_H

#include "format/touch.h"

#include <stddef.h>

struct vmt_touch_stacks;

struct vmt_touch_stacks *vmt_touch_stacks_new(void);
void vmt_touch_stacks_free(struct vmt_touch_stacks *stacks);

/* The reference that the next added stack gets: those of one chunk follow one another. */
uint32_t vmt_touch_stacks_next(const struct vmt_touch_stacks *stacks);

/* 0 or -ENOMEM. */
int vmt_touch_stacks_add(struct vmt_touch_stacks *stacks, const struct vmt_touch_stack *stack);

/* 0 where there is no such reference, or its stack has no frames. */
uint32_t vmt_touch_stacks_id(const struct vmt_touch_stacks *stacks, uint32_t reference);

/* Innermost first; NULL where there is none. */
const uint64_t *vmt_touch_stacks_get(const struct vmt_touch_stacks *stacks, uint32_t id,
				     uint32_t *frames);

/* enum vmt_touch_stack_end, and a word for each. */
uint8_t vmt_touch_stacks_end(const struct vmt_touch_stacks *stacks, uint32_t id);
const char *vmt_touch_stacks_end_name(uint8_t end);

#endif
