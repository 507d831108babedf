/*
 * own_stack.h: from one frame of the calling thread's stack to the next
 *
 * unwind_step.h over the process's own memory: words are read only inside the bounds. Go code steps
 * by its frame pointers. Async-signal-safe.
 */
#ifndef VMT_OWN_STACK_H
#define VMT_OWN_STACK_H

#include "unwind/unwind_step.h"

#include <stdbool.h>

/* By the rules of cfi.h; elsewhere than on x86-64 there are none. */
bool vmt_own_stack_step(struct vmt_unwind_registers *walk);

/* By frame pointers. */
bool vmt_own_stack_step_frame_pointer(struct vmt_unwind_registers *walk);

#endif
