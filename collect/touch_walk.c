#include "collect/touch_walk.h"

void
vmt_touch_walk_begin(struct vmt_traced *process, struct vmt_frame_rules *rules)
{
	vmt_touch_walk_end(process);
	process->touch.walks =
	    vmt_touch_unwind_open(&process->touch.unwind, rules, process->pid, process->maps_fd);
}

/* Where Go code lies is known a little later than where the trace does. The descriptor of maps may
 * have gone meanwhile. */
static void
learn(struct vmt_traced *process)
{
	const struct vmt_go *go = &vmt_process_head(process)->go;

	vmt_touch_unwind_set_go(&process->touch.unwind, go->text_low, go->text_high);
	process->touch.unwind.code.maps_fd = process->maps_fd;
}

/* Registers stand in the order of their bits. */
static struct vmt_touch_thread
thread_of(const struct vmt_touch_fault *fault)
{
	struct vmt_touch_thread thread = {.chain = fault->chain, .chain_count = fault->chain_count};

	if (fault->has_registers && VMT_TOUCH_UNWIND_COPIES) {
		thread.bp = fault->registers[VMT_TOUCH_REGISTER_FP];
		thread.sp = fault->registers[VMT_TOUCH_REGISTER_SP];
		thread.ip = fault->registers[VMT_TOUCH_REGISTER_IP];
		thread.copy = fault->copy;
		thread.copy_bytes = fault->copy_bytes;
		thread.copy_wanted = fault->copy_wanted;
	}
	return thread;
}

void
vmt_touch_walk_take(struct vmt_traced *process, const struct vmt_touch_fault *fault,
		    struct vmt_touch_stack *stack)
{
	const struct vmt_touch_thread thread = thread_of(fault);
	uint32_t depth = process->layout.stack_depth;

	stack->count = 0;
	stack->end = VMT_TOUCH_STACK_UNKNOWN;
	if (!process->touch.walks)
		return;
	learn(process);
	vmt_touch_unwind_walk(&process->touch.unwind, &thread, depth ? depth : VMT_STACK_MAX_FRAMES,
			      stack);
}

void
vmt_touch_walk_mapped(struct vmt_traced *process, const struct vmt_mapping *mapping)
{
	if (process->touch.walks)
		vmt_touch_unwind_mapped(&process->touch.unwind, mapping);
}

void
vmt_touch_walk_end(struct vmt_traced *process)
{
	if (process->touch.walks)
		vmt_touch_unwind_close(&process->touch.unwind);
	process->touch.walks = false;
}
