/*
 * unwind_step.h: from one frame of a stack to the next
 *
 * A step changes the registers of a frame into its caller's, by the rule for its code address or by
 * its frame pointer, or fails: there the walk ends. Words are read only inside the bounds, and sp
 * rises with each step but those to another stack. Async-signal-safe.
 */
#ifndef VMT_UNWIND_STEP_H
#define VMT_UNWIND_STEP_H

#include "capture/stacks/cfi.h"
#include "capture/stacks/stack_bounds.h"

#include <stdbool.h>
#include <stdint.h>

/* Not a rule of a step that can be remembered: another stack, or Go code. */
#define VMT_UNWIND_STEP_FOREIGN vmt_cfi_pack(VMT_CFI_SIGNAL, 0, 0)

/* Registers in one frame. */
struct vmt_unwind_registers {
	uint64_t pc;
	uint64_t sp;
	uint64_t rbp;
	uint32_t rule;	/* by which the last step was made or failed */
	bool struck;	/* a signal came just before pc; else a call returns to it */
	bool frameless; /* Go code: the return address lies at sp, rbp is the caller's */
	struct vmt_stack_bounds bounds;
};

/* By the rules of cfi.h; elsewhere than on x86-64 there are none. */
bool vmt_unwind_step(struct vmt_unwind_registers *walk);

/* By frame pointers. */
bool vmt_unwind_step_frame_pointer(struct vmt_unwind_registers *walk);

#endif
