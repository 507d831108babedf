#include "capture/stacks/capture.h"

#include "base/assert.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/go/go_stack.h"
#include "capture/modules/modules.h"
#include "capture/stacks/cfi.h"
#include "capture/stacks/last_walk.h"
#include "capture/stacks/own_stack.h"
#include "capture/stacks/stack_bounds.h"

#include <stddef.h>

/* Captures that try nothing after one that could not be remembered. */
#define REST_WALKS 64u

#if defined(__x86_64__)
static enum vmt_capture_walker walker = VMT_CAPTURE_WALK_CFI;
#else
static enum vmt_capture_walker walker = VMT_CAPTURE_WALK_FP;
#endif
static vmt_capture_foreign_walk *foreign_walk;
static bool checking; /* VMTRACE_STACKS=checked: remembered walks against full ones */

static uint32_t
walk_cfi(struct vmt_unwind_registers *walk, uint64_t *addresses, uint32_t limit)
{
	uint32_t count = 0;

	while (count < limit) {
		addresses[count++] = walk->pc + walk->struck;
		if (!vmt_own_stack_step(walk))
			break;
		addresses[count - 1] += walk->struck; /* the trampoline: not a return address */
	}
	return count;
}

static uint32_t
walk_frame_pointers(struct vmt_unwind_registers *walk, uint64_t *addresses, uint32_t limit)
{
	uint32_t count = 0;

	do {
		addresses[count++] = walk->pc;
	} while (count < limit && vmt_own_stack_step_frame_pointer(walk));
	return count;
}

/* The hook's own frame is in use, so its two words can be read. */
static inline void
begin_walk(struct vmt_unwind_registers *walk, const void *frame)
{
	const uint64_t *words = frame;

	*walk = (struct vmt_unwind_registers){
	    .rbp = words[0], .pc = words[1], .sp = (uint64_t)(words + 2)};
	vmt_stack_bounds_find(&walk->bounds, walk->sp);
}

uint32_t
vmt_capture_walk(const void *frame, uint64_t *addresses, uint32_t limit)
{
	struct vmt_unwind_registers walk;

	if (limit == 0)
		return 0;
	if (walker == VMT_CAPTURE_WALK_LIBUNWIND)
		return foreign_walk(frame, addresses, limit);
	begin_walk(&walk, frame);
	if (walker == VMT_CAPTURE_WALK_CFI)
		return walk_cfi(&walk, addresses, limit);
	return walk_frame_pointers(&walk, addresses, limit);
}

static inline bool
step_either(struct vmt_unwind_registers *walk)
{
	return walker == VMT_CAPTURE_WALK_CFI ? vmt_own_stack_step(walk)
					      : vmt_own_stack_step_frame_pointer(walk);
}

static inline void
put(struct vmt_last_walk *last, uint32_t at, const struct vmt_unwind_registers *walk)
{
	last->pc[at] = walk->pc;
	last->frames[at].sp = walk->sp;
	last->frames[at].rbp = walk->rbp;
	last->frames[at].rbp_read = true; /* until the step outwards is known */
}

/* What the step from one frame to the next did. False: it cannot be remembered. */
static inline bool
note_step(struct vmt_last_frame *from, struct vmt_last_frame *to,
	  const struct vmt_unwind_registers *walk)
{
	uint64_t rbp_words = vmt_cfi_rule_rbp_words(walk->rule);

	to->cfa_at = 0;
	to->rbp_at = rbp_words == VMT_CFI_RBP_LOST ? 0 : (uint32_t)rbp_words;
	to->rbp_made = rbp_words != 0;
	from->rbp_read = true;
	switch (vmt_cfi_rule_kind(walk->rule)) {
	case VMT_CFI_STACK:
		from->rbp_read = false;
		return true;
	case VMT_CFI_FRAME:
		return true;
	case VMT_CFI_LOAD:
		to->rbp_at = (uint32_t)((walk->sp - from->rbp) / 8);
		to->cfa_at = to->rbp_at + (uint32_t)(vmt_cfi_rule_cfa_bytes(walk->rule) / 8);
		to->rbp_made = true;
		return rbp_words == 0 && walk->sp - from->rbp < UINT32_MAX;
	case VMT_CFI_FRAME_POINTER:
		to->rbp_at = 2;
		to->rbp_made = true;
		return true;
	default:
		return false;
	}
}

/* Walks until it meets what is remembered from `outer` on, or else until the end. False: something
 * on the way cannot be remembered. */
static bool
walk_to_known(struct vmt_unwind_registers *walk, struct vmt_last_walk *last, uint32_t outer)
{
	const uint32_t room = outer < VMT_LAST_WALK_FRAMES ? outer : VMT_LAST_WALK_FRESH;
	uint32_t count = 0;

	vmt_assert(room <= VMT_LAST_WALK_FRAMES);
	last->frames[0].cfa_at = 0;
	last->frames[0].rbp_at = 2; /* the hook's own frame */
	last->frames[0].rbp_made = true;
	while (count < room) {
		while (outer < VMT_LAST_WALK_FRAMES && last->frames[outer].sp < walk->sp)
			outer++;
		if (outer < VMT_LAST_WALK_FRAMES &&
		    vmt_last_walk_is_at(last, outer, walk->pc, walk->sp, walk->rbp)) {
			vmt_last_walk_settle(last, count, outer);
			return true;
		}
		vmt_assert(count < room);
		put(last, count++, walk);
		if (count == room)
			break;
		if (!step_either(walk)) {
			last->complete = vmt_cfi_rule_kind(walk->rule) == VMT_CFI_END;
			last->frames[count - 1].rbp_read = !last->complete;
			vmt_last_walk_settle(last, count, VMT_LAST_WALK_FRAMES);
			return vmt_cfi_rule_kind(walk->rule) != VMT_CFI_SIGNAL;
		}
		if (!note_step(&last->frames[count - 1], &last->frames[count], walk))
			return false;
	}
	last->complete = false;
	vmt_last_walk_settle(last, count, VMT_LAST_WALK_FRAMES);
	return true;
}

/* Whether what is remembered gives as many frames as are wanted, or all there are. */
static inline bool
is_enough(const struct vmt_last_walk *last, const struct vmt_unwind_registers *start,
	  uint32_t limit)
{
	const uint32_t outermost = VMT_LAST_WALK_FRAMES - 1;
	struct vmt_unwind_registers walk = *start;

	if (last->complete || VMT_LAST_WALK_FRAMES - last->top >= limit)
		return true;
	walk.pc = last->pc[outermost];
	walk.sp = last->frames[outermost].sp;
	walk.rbp = last->frames[outermost].rbp;
	return !step_either(&walk);
}

/* Brings what is remembered up to date. False: this walk cannot be remembered. */
static bool
walk_again(const struct vmt_unwind_registers *start, struct vmt_last_walk *last, uint32_t limit)
{
	uint32_t outer =
	    vmt_last_walk_intact(last, start->sp, start->bounds.low + start->bounds.bytes);
	bool same = outer < VMT_LAST_WALK_FRAMES && outer == last->top &&
		    vmt_last_walk_is_at(last, outer, start->pc, start->sp, start->rbp);
	bool kept = true;

	if (same && is_enough(last, start, limit))
		return true;
	if (same)
		outer = VMT_LAST_WALK_FRAMES;
	do {
		struct vmt_unwind_registers walk = *start;

		last->stack = 0;
		last->top = VMT_LAST_WALK_FRAMES;
		__asm__ volatile("" ::: "memory");
		kept = walk_to_known(&walk, last, outer);
		outer = VMT_LAST_WALK_FRAMES;
	} while (kept && !is_enough(last, start, limit));
	if (!kept) {
		last->top = VMT_LAST_WALK_FRAMES;
		last->resting = REST_WALKS;
	}
	return kept;
}

/* The last walk of this thread, made good for this stack; NULL: it cannot be. */
static inline struct vmt_last_walk *
remembered(const struct vmt_unwind_registers *start, uint32_t limit)
{
	struct vmt_last_walk *last;

	if (walker == VMT_CAPTURE_WALK_LIBUNWIND || limit > VMT_LAST_WALK_FRESH ||
	    start->bounds.probing)
		return NULL;
	last = vmt_last_walk_mine();
	if (!last)
		return NULL;
	if (last->resting != 0) {
		last->resting--;
		return NULL;
	}
	return walk_again(start, last, limit) ? last : NULL;
}

static inline uint32_t
count_of(const struct vmt_last_walk *last, uint32_t limit)
{
	uint32_t count = VMT_LAST_WALK_FRAMES - last->top;

	vmt_assert(last->top <= VMT_LAST_WALK_FRAMES);
	return count < limit ? count : limit;
}

uint32_t
vmt_capture_walk_remembering(const void *frame, uint64_t *addresses, uint32_t limit)
{
	struct vmt_unwind_registers start;
	const struct vmt_last_walk *last;

	begin_walk(&start, frame);
	last = limit != 0 ? remembered(&start, limit) : NULL;
	if (!last)
		return vmt_capture_walk(frame, addresses, limit);
	for (uint32_t i = 0; i < count_of(last, limit); i++)
		addresses[i] = last->pc[last->top + i];
	return count_of(last, limit);
}

static inline uint32_t
intern_last(struct vmt_last_walk *last, uint32_t limit)
{
	uint32_t count = count_of(last, limit);
	uint32_t outer = last->top + count;
	uint64_t key = last->frames[last->top].hash;
	uint32_t *known = last->ids + last->top;

	vmt_assert(count != 0 && outer <= VMT_LAST_WALK_FRAMES);
	if (last->stack != 0)
		return last->stack;
	if (outer < VMT_LAST_WALK_FRAMES) {
		key = vmt_stack_table_cut(key, last->frames[outer].hash, count);
		known = NULL;
	}
	last->stack = vmt_stack_table_intern_keyed(&vmt_recording.stacks, last->pc + last->top,
						   count, key, known);
	return last->stack;
}

/* Its kilobyte of stack is taken here, where nothing is remembered. */
static uint32_t __attribute__((noinline)) capture_afresh(const void *frame, uint32_t limit)
{
	uint64_t addresses[VMT_STACK_MAX_FRAMES];
	uint32_t bounded = limit < VMT_STACK_MAX_FRAMES ? limit : VMT_STACK_MAX_FRAMES;
	uint32_t count = vmt_capture_walk(frame, addresses, bounded);

	vmt_assert(count <= bounded);
	return vmt_stack_table_intern(&vmt_recording.stacks, addresses, count);
}

uint32_t
vmt_capture_stack(const void *frame)
{
	uint32_t limit = vmt_config.stack_depth;
	struct vmt_unwind_registers start;
	struct vmt_last_walk *last;
	uint32_t stack;

	begin_walk(&start, frame);
	last = remembered(&start, limit);
	stack = last ? intern_last(last, limit) : capture_afresh(frame, limit);
	if (__builtin_expect(checking, 0) && stack != capture_afresh(frame, limit))
		vmt_guard_go_inert("a remembered stack is not the one that a full walk finds");
	return stack;
}

uint32_t
vmt_capture_stack_from(const struct vmt_capture_start *place)
{
	uint64_t addresses[VMT_STACK_MAX_FRAMES];
	struct vmt_unwind_registers walk = {.pc = place->pc,
					    .sp = place->sp,
					    .rbp = place->rbp,
					    .frameless = vmt_go_stack_is_code(place->pc)};
	uint32_t limit = vmt_config.stack_depth;
	uint32_t count;

	if (limit > VMT_STACK_MAX_FRAMES)
		limit = VMT_STACK_MAX_FRAMES;
	walk.bounds = vmt_stack_bounds_of(walk.sp);
	if (walker == VMT_CAPTURE_WALK_FP)
		count = walk_frame_pointers(&walk, addresses, limit);
	else
		count = walk_cfi(&walk, addresses, limit);
	vmt_assert(count <= limit);
	return vmt_stack_table_intern(&vmt_recording.stacks, addresses, count);
}

void
vmt_capture_set_foreign_walk(vmt_capture_foreign_walk *walk)
{
	foreign_walk = walk;
}

bool
vmt_capture_choose(enum vmt_capture_walker wanted)
{
#if !defined(__x86_64__)
	if (wanted != VMT_CAPTURE_WALK_FP)
		return false;
#endif
	if (wanted == VMT_CAPTURE_WALK_LIBUNWIND && !foreign_walk)
		return false;
	walker = wanted;
	vmt_last_walk_forget();
	vmt_recording.stack_mode =
	    wanted == VMT_CAPTURE_WALK_FP ? VMT_STACKS_FRAME_POINTER : VMT_STACKS_DWARF;
	return true;
}

void
vmt_capture_set_up(void)
{
	vmt_cfi_set_up();
	vmt_stack_bounds_set_up();
	vmt_last_walk_set_up();
	checking = vmt_config.stacks == VMT_CONFIG_STACKS_CHECKED;
	if (vmt_config.stacks == VMT_CONFIG_STACKS_LIBUNWIND &&
	    vmt_capture_choose(VMT_CAPTURE_WALK_LIBUNWIND))
		return;
	if (vmt_config.stacks == VMT_CONFIG_STACKS_FP || !vmt_capture_choose(VMT_CAPTURE_WALK_CFI))
		vmt_capture_choose(VMT_CAPTURE_WALK_FP);
}
