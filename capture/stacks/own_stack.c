#include "capture/stacks/own_stack.h"

#include "capture/go/go_stack.h"
#include "capture/stacks/cfi.h"
#include "capture/stacks/stack_bounds.h"

#include <stddef.h>

static inline bool
load(struct vmt_unwind_registers *walk, uint64_t address, uint64_t *value)
{
	if ((address & 7) != 0)
		return false;
	if (__builtin_expect(address - walk->bounds.low >= walk->bounds.bytes, 0) &&
	    (address < walk->sp || !vmt_stack_bounds_extend(&walk->bounds, address)))
		return false;
	*value = *(const uint64_t *)address;
	return true;
}

static inline uint32_t
rule_of(struct vmt_unwind_registers *walk, uint64_t address)
{
	(void)walk;
	return vmt_cfi_find(address);
}

static bool step_go(struct vmt_unwind_registers *walk);

static const struct vmt_unwind_source own_stack = {.load = load,
						   .rule = rule_of,
						   .is_foreign = vmt_go_stack_is_code,
						   .step_foreign = step_go,
						   .bounds = vmt_stack_bounds_of_unknown};

/* Goes on in the goroutine whose stack had to grow. */
static bool
step_growing(struct vmt_unwind_registers *walk, const struct vmt_go_growing *growing)
{
	walk->pc = growing->pc;
	walk->sp = growing->sp;
	walk->rbp = growing->rbp;
	walk->bounds = (struct vmt_stack_bounds){.low = growing->sp,
						 .bytes = growing->stack_end - growing->sp};
	walk->frameless = true;
	return vmt_unwind_is_code(walk->pc);
}

static bool
step_frameless(struct vmt_unwind_registers *walk)
{
	walk->frameless = false;
	if (!load(walk, walk->sp, &walk->pc))
		return false;
	walk->sp += 8;
	return vmt_unwind_is_code(walk->pc);
}

/* Go code keeps frame pointers. Where it has changed stacks, to call C or the runtime or to be
 * called back, the chain leads on to the other stack. crosscall2 has pushed rbp twice. */
static bool
step_go(struct vmt_unwind_registers *walk)
{
	struct vmt_go_growing growing;
	uint64_t frame = walk->rbp;
	uint64_t up;

	walk->struck = false;
	walk->rule = VMT_UNWIND_STEP_FOREIGN;
	if (walk->frameless)
		return step_frameless(walk);
	if (vmt_go_stack_growing(walk->pc, &growing))
		return step_growing(walk, &growing);
	if (frame < walk->sp || frame - walk->bounds.low >= walk->bounds.bytes) {
		if (!vmt_stack_bounds_change(&walk->bounds, frame))
			return false;
		walk->sp = frame;
	}
	if (!load(walk, frame, &up))
		return false;
	return vmt_unwind_take_frame(&own_stack, walk, up == frame + 8 ? up : frame);
}

bool
vmt_own_stack_step(struct vmt_unwind_registers *walk)
{
	return vmt_unwind_step(&own_stack, walk);
}

bool
vmt_own_stack_step_frame_pointer(struct vmt_unwind_registers *walk)
{
	return vmt_unwind_step_frame_pointer(&own_stack, walk);
}
