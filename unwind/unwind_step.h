/*
 * unwind_step.h: from one frame of a stack to the next, over memory that the caller reads
 *
 * A step changes the registers of a frame into its caller's, by the rule for its code address or by
 * its frame pointer, or fails: there the walk ends. sp rises with each step but those to another
 * stack. The stack may be the thread's own or a copy of another's: every word is read by the
 * source's `load`. The functions are to be inlined into those of one source, whose members are
 * constants there, so that a load costs no call. Async-signal-safe if the source is.
 */
#ifndef VMT_UNWIND_STEP_H
#define VMT_UNWIND_STEP_H

#include "unwind/cfi_rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

/* Code addresses: above the first page, below the end of user space. */
#define VMT_UNWIND_CODE_LOW UINT64_C(0x1000)
#if defined(__x86_64__)
#define VMT_UNWIND_CODE_HIGH (UINT64_C(1) << 47)
#else
#define VMT_UNWIND_CODE_HIGH (UINT64_C(1) << 48)
#endif

/* Not a rule of a step that can be remembered: another stack, or code without rules. */
#define VMT_UNWIND_STEP_FOREIGN vmt_cfi_rule_pack(VMT_CFI_SIGNAL, 0, 0)

#define VMT_UNWIND_INLINE static inline __attribute__((always_inline, unused))

struct vmt_stack_bounds {
	uint64_t low;	/* [low, low + bytes) can be read */
	uint64_t bytes; /* 0: nothing */
	bool probing;	/* pages above may be added after a probe */
};

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

struct vmt_unwind_source {
	/* Reads the word at an address of the stack. False: it can't be read. */
	bool (*load)(struct vmt_unwind_registers *walk, uint64_t address, uint64_t *value);
	/* The rule for a code address. */
	uint32_t (*rule)(struct vmt_unwind_registers *walk, uint64_t address);
	/* Code of a language that steps by itself, and its step. */
	bool (*is_foreign)(uint64_t pc);
	bool (*step_foreign)(struct vmt_unwind_registers *walk);
	/* What can be read around the stack pointer of an interrupted frame. */
	struct vmt_stack_bounds (*bounds)(uint64_t sp);
};

VMT_UNWIND_INLINE bool
vmt_unwind_is_code(uint64_t pc)
{
	return pc >= VMT_UNWIND_CODE_LOW && pc < VMT_UNWIND_CODE_HIGH;
}

/* Takes the words of a frame: the caller's rbp and the return address. */
VMT_UNWIND_INLINE bool
vmt_unwind_take_frame(const struct vmt_unwind_source *source, struct vmt_unwind_registers *walk,
		      uint64_t frame)
{
	if (!source->load(walk, frame + 8, &walk->pc) || !source->load(walk, frame, &walk->rbp))
		return false;
	walk->sp = frame + 16;
	walk->struck = false;
	return vmt_unwind_is_code(walk->pc);
}

/* rbp points to the caller's rbp and the return address. */
VMT_UNWIND_INLINE bool
vmt_unwind_step_frame_pointer(const struct vmt_unwind_source *source,
			      struct vmt_unwind_registers *walk)
{
	uint64_t frame = walk->rbp;

	if (__builtin_expect(source->is_foreign(walk->pc), 0))
		return source->step_foreign(walk);
	walk->rule = vmt_cfi_rule_pack(VMT_CFI_FRAME_POINTER, 0, 0);
	return frame >= walk->sp && vmt_unwind_take_frame(source, walk, frame);
}

#if defined(__x86_64__)
/* The kernel's rt_sigframe: its return address is gone, sp points to the ucontext. The interrupted
 * stack may be another one, and its pointer anything. */
VMT_UNWIND_INLINE bool
vmt_unwind_step_signal(const struct vmt_unwind_source *source, struct vmt_unwind_registers *walk)
{
	uint64_t registers = walk->sp + offsetof(ucontext_t, uc_mcontext.gregs);
	uint64_t sp;

	if (!source->load(walk, registers + REG_RSP * sizeof(greg_t), &sp) ||
	    !source->load(walk, registers + REG_RIP * sizeof(greg_t), &walk->pc) ||
	    !source->load(walk, registers + REG_RBP * sizeof(greg_t), &walk->rbp) || (sp & 7) != 0)
		return false;
	walk->sp = sp;
	walk->struck = true;
	walk->bounds = source->bounds(sp);
	return vmt_unwind_is_code(walk->pc);
}

/* A realigned frame: the CFA was spilled below rbp, the caller's rbp lies at rbp. */
VMT_UNWIND_INLINE bool
vmt_unwind_load_cfa(const struct vmt_unwind_source *source, struct vmt_unwind_registers *walk,
		    uint32_t rule, uint64_t *cfa)
{
	return source->load(walk, walk->rbp - vmt_cfi_rule_cfa_bytes(rule), cfa) &&
	       source->load(walk, walk->rbp, &walk->rbp);
}

VMT_UNWIND_INLINE bool
vmt_unwind_step(const struct vmt_unwind_source *source, struct vmt_unwind_registers *walk)
{
	uint32_t rule;
	uint64_t rbp_words;
	uint64_t cfa;

	if (__builtin_expect(source->is_foreign(walk->pc), 0))
		return source->step_foreign(walk);
	rule = source->rule(walk, walk->pc - !walk->struck);
	walk->rule = rule;
	rbp_words = vmt_cfi_rule_rbp_words(rule);
	switch (vmt_cfi_rule_kind(rule)) {
	case VMT_CFI_STACK:
		cfa = walk->sp + vmt_cfi_rule_cfa_bytes(rule);
		break;
	case VMT_CFI_FRAME:
		cfa = walk->rbp + vmt_cfi_rule_cfa_bytes(rule);
		break;
	case VMT_CFI_LOAD:
		if (!vmt_unwind_load_cfa(source, walk, rule, &cfa))
			return false;
		break;
	case VMT_CFI_SIGNAL:
		return vmt_unwind_step_signal(source, walk);
	case VMT_CFI_FRAME_POINTER:
		return vmt_unwind_step_frame_pointer(source, walk);
	default:
		return false;
	}
	if (cfa <= walk->sp || !source->load(walk, cfa - 8, &walk->pc))
		return false;
	if (rbp_words == VMT_CFI_RBP_LOST)
		walk->rbp = 0;
	else if (rbp_words != 0 && !source->load(walk, cfa - 8 * rbp_words, &walk->rbp))
		return false;
	walk->sp = cfa;
	walk->struck = false;
	return vmt_unwind_is_code(walk->pc);
}
#else
VMT_UNWIND_INLINE bool
vmt_unwind_step(const struct vmt_unwind_source *source, struct vmt_unwind_registers *walk)
{
	(void)source;
	(void)walk;
	return false;
}
#endif

#endif
