#include "capture/stacks/unwind_step.h"

#include "capture/go/go_stack.h"
#include "capture/stacks/cfi.h"

#include <stddef.h>
#include <ucontext.h>

/* Code addresses: above the first page, below the end of user space. */
#define CODE_LOW UINT64_C(0x1000)
#if defined(__x86_64__)
#define CODE_HIGH (UINT64_C(1) << 47)
#else
#define CODE_HIGH (UINT64_C(1) << 48)
#endif

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

static inline bool
is_code(uint64_t pc)
{
	return pc >= CODE_LOW && pc < CODE_HIGH;
}

/* Takes the words of a frame: the caller's rbp and the return address. */
static inline bool
take_frame(struct vmt_unwind_registers *walk, uint64_t frame)
{
	if (!load(walk, frame + 8, &walk->pc) || !load(walk, frame, &walk->rbp))
		return false;
	walk->sp = frame + 16;
	walk->struck = false;
	return is_code(walk->pc);
}

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
	return is_code(walk->pc);
}

static bool
step_frameless(struct vmt_unwind_registers *walk)
{
	walk->frameless = false;
	if (!load(walk, walk->sp, &walk->pc))
		return false;
	walk->sp += 8;
	return is_code(walk->pc);
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
	return take_frame(walk, up == frame + 8 ? up : frame);
}

/* rbp points to the caller's rbp and the return address. */
bool
vmt_unwind_step_frame_pointer(struct vmt_unwind_registers *walk)
{
	uint64_t frame = walk->rbp;

	if (__builtin_expect(vmt_go_stack_is_code(walk->pc), 0))
		return step_go(walk);
	walk->rule = vmt_cfi_pack(VMT_CFI_FRAME_POINTER, 0, 0);
	return frame >= walk->sp && take_frame(walk, frame);
}

#if defined(__x86_64__)
/* The kernel's rt_sigframe: its return address is gone, sp points to the ucontext. The interrupted
 * stack may be another one, and its pointer anything. */
static bool
step_signal(struct vmt_unwind_registers *walk)
{
	uint64_t registers = walk->sp + offsetof(ucontext_t, uc_mcontext.gregs);
	uint64_t sp;

	if (!load(walk, registers + REG_RSP * sizeof(greg_t), &sp) ||
	    !load(walk, registers + REG_RIP * sizeof(greg_t), &walk->pc) ||
	    !load(walk, registers + REG_RBP * sizeof(greg_t), &walk->rbp) || (sp & 7) != 0)
		return false;
	walk->sp = sp;
	walk->struck = true;
	walk->bounds = vmt_stack_bounds_of_unknown(sp);
	return is_code(walk->pc);
}

/* A realigned frame: the CFA was spilled below rbp, the caller's rbp lies at rbp. */
static bool
load_cfa(struct vmt_unwind_registers *walk, uint32_t rule, uint64_t *cfa)
{
	return load(walk, walk->rbp - vmt_cfi_cfa_bytes(rule), cfa) &&
	       load(walk, walk->rbp, &walk->rbp);
}

bool
vmt_unwind_step(struct vmt_unwind_registers *walk)
{
	uint32_t rule;
	uint64_t rbp_words;
	uint64_t cfa;

	if (__builtin_expect(vmt_go_stack_is_code(walk->pc), 0))
		return step_go(walk);
	rule = vmt_cfi_find(walk->pc - !walk->struck);
	walk->rule = rule;
	rbp_words = vmt_cfi_rbp_words(rule);
	switch (vmt_cfi_kind(rule)) {
	case VMT_CFI_STACK:
		cfa = walk->sp + vmt_cfi_cfa_bytes(rule);
		break;
	case VMT_CFI_FRAME:
		cfa = walk->rbp + vmt_cfi_cfa_bytes(rule);
		break;
	case VMT_CFI_LOAD:
		if (!load_cfa(walk, rule, &cfa))
			return false;
		break;
	case VMT_CFI_SIGNAL:
		return step_signal(walk);
	case VMT_CFI_FRAME_POINTER:
		return vmt_unwind_step_frame_pointer(walk);
	default:
		return false;
	}
	if (cfa <= walk->sp || !load(walk, cfa - 8, &walk->pc))
		return false;
	if (rbp_words == VMT_CFI_RBP_LOST)
		walk->rbp = 0;
	else if (rbp_words != 0 && !load(walk, cfa - 8 * rbp_words, &walk->rbp))
		return false;
	walk->sp = cfa;
	walk->struck = false;
	return is_code(walk->pc);
}
#else
bool
vmt_unwind_step(struct vmt_unwind_registers *walk)
{
	(void)walk;
	return false;
}
#endif
