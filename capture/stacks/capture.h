/*
 * capture.h: captures the stack of the calling thread
 *
 * Walks the calling thread's stack from the hook's own frame and interns it. The hook passes its
 * frame address (preload is built with frame pointers), so hooks' frames are never part of a stack.
 * Every word is read only after its address was found inside the stack in use (stack_bounds.h), the
 * stack pointer rises strictly, depth is limited; an odd chain ends early. No lock, no allocation,
 * no dlopen; async-signal-safe.
 *
 * Each address given lies one past a byte of the code that it stands for: it is a return address,
 * or, where a signal struck and in the signal trampoline, the instruction's address plus one.
 */
#ifndef VMT_CAPTURE_H
#define VMT_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

enum vmt_capture_walker { VMT_CAPTURE_WALK_CFI, VMT_CAPTURE_WALK_LIBUNWIND, VMT_CAPTURE_WALK_FP };

/* Where a walk begins: in any function, by its registers. One of Go's keeps nothing on the stack:
 * its return address lies at sp, and rbp is its caller's frame. */
struct vmt_capture_start {
	uint64_t pc; /* one past an instruction of the function */
	uint64_t sp;
	uint64_t rbp;
};

/* Id of the stack that a place belongs to; 0 = none. */
uint32_t vmt_capture_stack_from(const struct vmt_capture_start *place);

/* Id of the stack whose innermost frame is the caller of the function that `frame` belongs to;
 * 0 = none. Use the macro in hooks. */
uint32_t vmt_capture_stack(const void *frame);
#define VMT_STACK() vmt_capture_stack(__builtin_frame_address(0))

/* Where there is libunwind, it walks by this, as vmt_capture_walk does. Set-up, before the walker
 * is picked. */
typedef uint32_t vmt_capture_foreign_walk(const void *frame, uint64_t *addresses, uint32_t limit);
void vmt_capture_set_foreign_walk(vmt_capture_foreign_walk *walk);

/* At load: picks the walker that VMTRACE_STACKS asks for (own CFI tables, libunwind, frame
 * pointers), says in vmt_recording.stack_mode what kind it is, and learns the main thread's
 * stack bounds. Calls libc. */
void vmt_capture_set_up(void);

/* Picks another walker; false: not to be had here. Tests, and set-up. */
bool vmt_capture_choose(enum vmt_capture_walker walker);

/* Walks without interning, from one end to the other: fills addresses, returns how many. What
 * tests compare all else with. */
uint32_t vmt_capture_walk(const void *frame, uint64_t *addresses, uint32_t limit);

/* The same, going by the thread's last walk (last_walk.h) as far as it holds: as captures do. */
uint32_t vmt_capture_walk_remembering(const void *frame, uint64_t *addresses, uint32_t limit);

#endif
