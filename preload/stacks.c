#include "preload/stacks.h"

#include "preload/cfi.h"
#include "preload/config.h"
#include "preload/go_stack.h"
#include "preload/modules.h"
#include "preload/real.h"
#include "preload/stack_bounds.h"
#include "preload/state.h"
#include "preload/unwind.h"

#include <stddef.h>
#include <ucontext.h>

/* Code addresses: above the first page, below the end of user space. */
#define CODE_LOW UINT64_C(0x1000)
#if defined(__x86_64__)
#define CODE_HIGH (UINT64_C(1) << 47)
#else
#define CODE_HIGH (UINT64_C(1) << 48)
#endif

/* The default depth fits. */
#define USUAL_FRAMES 32u

/* Registers in one frame. */
struct walk {
	uint64_t pc;
	uint64_t sp;
	uint64_t rbp;
	bool struck;	/* a signal came just before pc; else a call returns to it */
	bool frameless; /* Go code: the return address lies at sp, rbp is the caller's */
	struct vmt_stack_bounds bounds;
};

#if defined(__x86_64__)
static enum vmt_stacks_walker walker = VMT_STACKS_WALK_CFI;
#else
static enum vmt_stacks_walker walker = VMT_STACKS_WALK_FP;
#endif

static inline bool
load(struct walk *walk, uint64_t address, uint64_t *value)
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
take_frame(struct walk *walk, uint64_t frame)
{
	if (!load(walk, frame + 8, &walk->pc) || !load(walk, frame, &walk->rbp))
		return false;
	walk->sp = frame + 16;
	walk->struck = false;
	return is_code(walk->pc);
}

/* Goes on in the goroutine whose stack had to grow. */
static bool
step_growing(struct walk *walk, const struct vmt_go_growing *growing)
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
step_frameless(struct walk *walk)
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
step_go(struct walk *walk)
{
	struct vmt_go_growing growing;
	uint64_t frame = walk->rbp;
	uint64_t up;

	walk->struck = false;
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
static inline bool
step_frame_pointer(struct walk *walk)
{
	uint64_t frame = walk->rbp;

	if (__builtin_expect(vmt_go_stack_is_code(walk->pc), 0))
		return step_go(walk);
	return frame >= walk->sp && take_frame(walk, frame);
}

#if defined(__x86_64__)
/* The kernel's rt_sigframe: its return address is gone, sp points to the ucontext. The interrupted
 * stack may be another one, and its pointer anything. */
static bool
step_signal(struct walk *walk)
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
load_cfa(struct walk *walk, uint32_t rule, uint64_t *cfa)
{
	return load(walk, walk->rbp - vmt_cfi_cfa_bytes(rule), cfa) &&
	       load(walk, walk->rbp, &walk->rbp);
}

static inline bool
step(struct walk *walk)
{
	uint32_t rule;
	uint64_t rbp_words;
	uint64_t cfa;

	if (__builtin_expect(vmt_go_stack_is_code(walk->pc), 0))
		return step_go(walk);
	rule = vmt_cfi_find(walk->pc - !walk->struck);
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
		return step_frame_pointer(walk);
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

static uint32_t
walk_cfi(struct walk *walk, uint64_t *addresses, uint32_t limit)
{
	uint32_t count = 0;

	while (count < limit) {
		addresses[count++] = walk->pc + walk->struck;
		if (!step(walk))
			break;
		addresses[count - 1] += walk->struck; /* the trampoline: not a return address */
	}
	return count;
}
#else
static uint32_t
walk_cfi(struct walk *walk, uint64_t *addresses, uint32_t limit)
{
	(void)walk;
	(void)addresses;
	(void)limit;
	return 0;
}
#endif

static uint32_t
walk_frame_pointers(struct walk *walk, uint64_t *addresses, uint32_t limit)
{
	uint32_t count = 0;

	do {
		addresses[count++] = walk->pc;
	} while (count < limit && step_frame_pointer(walk));
	return count;
}

/* The hook's own frame is in use, so its two words can be read. */
uint32_t
vmt_stacks_walk(const void *frame, uint64_t *addresses, uint32_t limit)
{
	const uint64_t *words = frame;
	struct walk walk = {.rbp = words[0], .pc = words[1], .sp = (uint64_t)(words + 2)};

	if (limit == 0)
		return 0;
	if (walker == VMT_STACKS_WALK_LIBUNWIND)
		return vmt_unwind_walk(frame, addresses, limit);
	walk.bounds = vmt_stack_bounds_of(walk.sp);
	if (walker == VMT_STACKS_WALK_CFI)
		return walk_cfi(&walk, addresses, limit);
	return walk_frame_pointers(&walk, addresses, limit);
}

static inline uint32_t
capture(const void *frame, uint64_t *addresses, uint32_t limit)
{
	uint32_t count = vmt_stacks_walk(frame, addresses, limit);

	return vmt_stack_table_intern(&vmt_state_process.stacks, addresses, count);
}

/* Apart, so that its kilobyte of stack is taken where it was asked for. */
static uint32_t __attribute__((noinline)) capture_deep_slow(const void *frame, uint32_t limit)
{
	uint64_t addresses[VMT_STACK_MAX_FRAMES];

	return capture(frame, addresses,
		       limit < VMT_STACK_MAX_FRAMES ? limit : VMT_STACK_MAX_FRAMES);
}

uint32_t
vmt_stacks_capture(const void *frame)
{
	uint64_t addresses[USUAL_FRAMES];
	uint32_t limit = vmt_state_process.stack_depth;

	if (limit > USUAL_FRAMES)
		return capture_deep_slow(frame, limit);
	return capture(frame, addresses, limit);
}

uint32_t
vmt_stacks_capture_from(const struct vmt_stacks_place *place)
{
	uint64_t addresses[VMT_STACK_MAX_FRAMES];
	struct walk walk = {.pc = place->pc, .sp = place->sp, .rbp = place->rbp, .frameless = true};
	uint32_t limit = vmt_state_process.stack_depth;
	uint32_t count;

	if (limit > VMT_STACK_MAX_FRAMES)
		limit = VMT_STACK_MAX_FRAMES;
	walk.bounds = vmt_stack_bounds_of(walk.sp);
	if (walker == VMT_STACKS_WALK_FP)
		count = walk_frame_pointers(&walk, addresses, limit);
	else
		count = walk_cfi(&walk, addresses, limit);
	return vmt_stack_table_intern(&vmt_state_process.stacks, addresses, count);
}

bool
vmt_stacks_choose(enum vmt_stacks_walker wanted)
{
#if !defined(__x86_64__)
	if (wanted != VMT_STACKS_WALK_FP)
		return false;
#endif
	if (wanted == VMT_STACKS_WALK_LIBUNWIND && !vmt_unwind_open())
		return false;
	walker = wanted;
	vmt_state_process.stack_mode =
	    wanted == VMT_STACKS_WALK_FP ? VMT_STACKS_FRAME_POINTER : VMT_STACKS_DWARF;
	return true;
}

void
vmt_stacks_set_up(void)
{
	union {
		void *found;
		int (*call)(void *address, void *result);
	} finder = {vmt_real_find("_dl_find_object")};

	vmt_modules_set_finder(finder.call);
	vmt_stack_bounds_set_up();
	if (vmt_config.stacks == VMT_CONFIG_STACKS_LIBUNWIND &&
	    vmt_stacks_choose(VMT_STACKS_WALK_LIBUNWIND))
		return;
	if (vmt_config.stacks == VMT_CONFIG_STACKS_FP || !vmt_stacks_choose(VMT_STACKS_WALK_CFI))
		vmt_stacks_choose(VMT_STACKS_WALK_FP);
}
