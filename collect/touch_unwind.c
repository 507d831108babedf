#include "collect/touch_unwind.h"

#include "base/procfs.h"
#include "base/text.h"
#include "unwind/unwind_step.h"

#include <string.h>

/* A frame pointer that leads further up than this is none. */
#define FAR_BYTES (UINT64_C(64) << 20)
/* The frame of the program's entry is no larger. */
#define ENTRY_BYTES 256u
#define DEFAULT_CHAIN_MOST 127u /* PERF_MAX_STACK_DEPTH (linux/perf_event.h) */

/* A walk over a copy. */
struct walk {
	struct vmt_unwind_registers at;
	struct vmt_touch_unwind *unwind;
	const struct vmt_touch_thread *thread;
	bool no_code;	/* what was last asked for is no code: no frame */
	bool not_there; /* the last load was of what was not copied */
};

static inline bool
is_go(const struct vmt_touch_unwind *unwind, uint64_t pc)
{
	return pc - unwind->go_low < unwind->go_high - unwind->go_low;
}

static inline struct walk *
walk_of(struct vmt_unwind_registers *at)
{
	return (struct walk *)(void *)((char *)at - offsetof(struct walk, at));
}

static inline bool
load(struct vmt_unwind_registers *at, uint64_t address, uint64_t *value)
{
	struct walk *walk = walk_of(at);
	uint64_t from = address - walk->thread->sp;

	walk->not_there =
	    from >= walk->thread->copy_bytes || walk->thread->copy_bytes - from < sizeof(*value);
	if (walk->not_there || (address & 7) != 0)
		return false;
	memcpy(value, walk->thread->copy + from, sizeof(*value));
	return true;
}

static inline uint32_t
rule_of(struct vmt_unwind_registers *at, uint64_t address)
{
	struct walk *walk = walk_of(at);
	struct vmt_code_range *range = vmt_code_ranges_find(&walk->unwind->code, address);

	walk->no_code = !range;
	walk->not_there = false;
	if (!range)
		return vmt_cfi_rule_pack(VMT_CFI_END, 0, 0);
	return vmt_frame_rules_find(walk->unwind->rules, &walk->unwind->code, range, address);
}

static inline bool
is_foreign(uint64_t pc)
{
	(void)pc;
	return false;
}

static inline bool
step_foreign(struct vmt_unwind_registers *at)
{
	(void)at;
	return false;
}

static inline struct vmt_stack_bounds
no_bounds(uint64_t sp)
{
	(void)sp;
	return (struct vmt_stack_bounds){.bytes = 0};
}

static const struct vmt_unwind_source copy = {.load = load,
					      .rule = rule_of,
					      .is_foreign = is_foreign,
					      .step_foreign = step_foreign,
					      .bounds = no_bounds};

/* The loader's entry has no rules. The kernel begins a program without a frame pointer, at the
 * stack's start. */
static bool
is_entry(const struct vmt_touch_unwind *unwind, const struct vmt_unwind_registers *frame)
{
	return frame->rbp == 0 && frame->sp <= unwind->stack_start &&
	       unwind->stack_start - frame->sp <= ENTRY_BYTES;
}

/* Why the walk could not step out of a frame. */
static enum vmt_touch_stack_end
end_at(const struct walk *walk, const struct vmt_unwind_registers *frame)
{
	bool by_pointer = vmt_cfi_rule_kind(walk->at.rule) == VMT_CFI_FRAME_POINTER;
	bool above = frame->rbp - frame->sp < FAR_BYTES;

	if (walk->no_code)
		return VMT_TOUCH_STACK_NO_RULES;
	if (vmt_cfi_rule_kind(walk->at.rule) == VMT_CFI_END)
		return VMT_TOUCH_STACK_COMPLETE;
	if (by_pointer && is_go(walk->unwind, frame->pc))
		return frame->rbp != 0 && (walk->not_there || !above) ? VMT_TOUCH_STACK_CUT
								      : VMT_TOUCH_STACK_UNKNOWN;
	if (by_pointer && is_entry(walk->unwind, frame))
		return VMT_TOUCH_STACK_COMPLETE;
	if (by_pointer)
		return walk->not_there && above &&
			       walk->thread->copy_bytes == walk->thread->copy_wanted
			   ? VMT_TOUCH_STACK_CUT
			   : VMT_TOUCH_STACK_NO_RULES;
	if (walk->not_there)
		return VMT_TOUCH_STACK_CUT;
	return walk->at.pc == 0 ? VMT_TOUCH_STACK_COMPLETE : VMT_TOUCH_STACK_UNKNOWN;
}

/* The first frame's address is exact; where a signal struck and in its trampoline addresses are one
 * past, as return addresses are. */
static void
walk_copy(struct walk *walk, uint32_t limit, struct vmt_touch_stack *stack)
{
	bool by_pointer = false;

	while (stack->count < limit) {
		struct vmt_unwind_registers frame = walk->at;

		stack->frames[stack->count] = frame.pc + (frame.struck && stack->count > 0);
		stack->count++;
		if (!vmt_unwind_step(&copy, &walk->at)) {
			walk->at.rbp = frame.rbp;
			stack->end = (uint8_t)end_at(walk, &frame);
			if (walk->no_code && stack->count > 1) {
				stack->count--;
				stack->end =
				    by_pointer ? VMT_TOUCH_STACK_NO_RULES : VMT_TOUCH_STACK_UNKNOWN;
			}
			return;
		}
		if (stack->count > 1)
			stack->frames[stack->count - 1] += walk->at.struck;
		by_pointer = vmt_cfi_rule_kind(walk->at.rule) == VMT_CFI_FRAME_POINTER;
	}
	stack->end = VMT_TOUCH_STACK_DEEP;
}

/* What a frame of the kernel's chain says of the next one. False: it must not be believed, and *end
 * says why. Go code keeps the frame pointer; other code where its rule is that of one. */
static bool
leads_on(struct vmt_touch_unwind *unwind, struct vmt_code_range *range, uint64_t address,
	 uint8_t *end)
{
	uint32_t rule = vmt_frame_rules_find(unwind->rules, &unwind->code, range, address);
	enum vmt_cfi_rule_kind kind = vmt_cfi_rule_kind(rule);

	if (!VMT_TOUCH_UNWIND_COPIES)
		return true; /* the rules are those of x86-64 */
	if (kind == VMT_CFI_END) {
		*end = VMT_TOUCH_STACK_COMPLETE;
		return false;
	}
	if (is_go(unwind, address) ||
	    (kind == VMT_CFI_FRAME && vmt_cfi_rule_cfa_bytes(rule) == 16 &&
	     vmt_cfi_rule_rbp_words(rule) == 2))
		return true;
	*end = kind == VMT_CFI_FRAME_POINTER ? VMT_TOUCH_STACK_NO_RULES : VMT_TOUCH_STACK_CUT;
	return false;
}

/* Takes addresses of the kernel's chain from an index on, for as long as it must be right. Markers
 * are above all addresses; crosscall2 of Go has pushed a frame pointer twice, the second time in
 * the place of a return address. */
static void
take_chain(struct vmt_touch_unwind *unwind, const struct vmt_touch_thread *thread, uint64_t from,
	   uint32_t limit, struct vmt_touch_stack *stack)
{
	bool odd = false;

	stack->end = VMT_TOUCH_STACK_UNKNOWN;
	for (uint64_t i = from; i < thread->chain_count; i++) {
		uint64_t address = thread->chain[i];
		bool is_first = stack->count == 0;
		struct vmt_code_range *range;

		if (!vmt_unwind_is_code(address))
			continue;
		if (stack->count == limit) {
			stack->end = VMT_TOUCH_STACK_DEEP;
			return;
		}
		range = vmt_code_ranges_find(&unwind->code, address - !is_first);
		if (!range && odd) {
			stack->end = VMT_TOUCH_STACK_UNKNOWN;
			return;
		}
		odd = !range;
		if (odd)
			continue;
		stack->frames[stack->count++] = address;
		if (!leads_on(unwind, range, address - !is_first, &stack->end))
			return;
	}
	if (thread->chain_count > unwind->chain_most)
		stack->end = VMT_TOUCH_STACK_DEEP;
}

/* C code that Go has called runs on another stack than the goroutine, whose frames the kernel's
 * chain has, if the frame pointer has led it there. Where in the chain they begin; its end: none
 * are there. */
static uint64_t
find_in_chain(const struct walk *walk, const struct vmt_touch_stack *stack)
{
	const struct vmt_touch_thread *thread = walk->thread;
	uint64_t last = stack->frames[stack->count - 1];
	uint64_t i;

	for (i = 0; i < thread->chain_count; i++) {
		if (thread->chain[i] == last ||
		    (thread->chain[i] == thread->ip && walk->at.rbp == thread->bp))
			return i + 1;
	}
	return i;
}

static bool
has_copy(const struct vmt_touch_thread *thread)
{
	return VMT_TOUCH_UNWIND_COPIES && thread->copy && thread->copy_bytes > 0 &&
	       vmt_unwind_is_code(thread->ip);
}

void
vmt_touch_unwind_walk(struct vmt_touch_unwind *unwind, const struct vmt_touch_thread *thread,
		      uint32_t limit, struct vmt_touch_stack *stack)
{
	struct walk walk = {
	    .at = {.pc = thread->ip, .sp = thread->sp, .rbp = thread->bp, .struck = true},
	    .unwind = unwind,
	    .thread = thread};
	uint32_t most = limit < VMT_STACK_MAX_FRAMES ? limit : VMT_STACK_MAX_FRAMES;
	uint64_t from = 0;

	stack->count = 0;
	stack->end = VMT_TOUCH_STACK_UNKNOWN;
	if (has_copy(thread) && (thread->chain_count == 0 || !is_go(unwind, thread->ip))) {
		walk_copy(&walk, most, stack);
		if (stack->end != VMT_TOUCH_STACK_CUT || thread->chain_count == 0 ||
		    !is_go(unwind, walk.at.pc))
			return;
		from = find_in_chain(&walk, stack);
		if (from == thread->chain_count)
			return;
	}
	take_chain(unwind, thread, from, most, stack);
}

static uint64_t
read_stack_start(uint32_t pid)
{
	struct vmt_procfs_stat stat = {.stack_start = 0};
	int fd = vmt_procfs_open(pid, "stat");

	if (fd < 0)
		return 0;
	(void)vmt_procfs_read_stat(fd, &stat);
	vmt_sys_close(fd);
	return stat.stack_start;
}

/* Frames beside the marker. */
static uint64_t
read_chain_most(void)
{
	char text[32];
	int fd = vmt_sys_open("/proc/sys/kernel/perf_event_max_stack", O_RDONLY, 0);
	long length = fd < 0 ? fd : vmt_procfs_read_once(fd, text, sizeof(text));
	struct vmt_text line = vmt_text_of(text, length > 0 ? (size_t)length : 0);
	uint64_t most;

	if (fd >= 0)
		vmt_sys_close(fd);
	return vmt_text_take_decimal(&line, &most) ? most : DEFAULT_CHAIN_MOST;
}

bool
vmt_touch_unwind_open(struct vmt_touch_unwind *unwind, struct vmt_frame_rules *rules, uint32_t pid,
		      int maps_fd)
{
	*unwind = (struct vmt_touch_unwind){
	    .rules = rules, .stack_start = read_stack_start(pid), .chain_most = read_chain_most()};
	return vmt_code_ranges_open(&unwind->code, pid, maps_fd);
}

void
vmt_touch_unwind_set_go(struct vmt_touch_unwind *unwind, uint64_t low, uint64_t high)
{
	unwind->go_low = low;
	unwind->go_high = high;
}

void
vmt_touch_unwind_mapped(struct vmt_touch_unwind *unwind, const struct vmt_mapping *mapping)
{
	if ((mapping->protection & PROT_EXEC) != 0)
		vmt_code_ranges_put(&unwind->code, mapping);
}

void
vmt_touch_unwind_close(struct vmt_touch_unwind *unwind)
{
	vmt_code_ranges_close(&unwind->code);
}
