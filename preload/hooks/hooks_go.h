/*
 * hooks_go.h: handles a raw system call of the Go runtime
 *
 * vmt_hooks_go_entry is where the stubs of capture/go/go_patch.h jump to. The caller's stack may be
 * nearly full and its memory somebody else's below the stack pointer, so it takes one of 64 stacks
 * of our own, without using any; when all are taken (counted) the call goes through unrecorded. All
 * registers but rax, rcx and r11 come back as they were, vector registers as far as SSE knows them:
 * the runtime's functions may change all the others.
 *
 * Async-signal-safe: a handler that interrupts takes another stack. A fork child has the stacks
 * that other threads had taken as taken for ever.
 */
#ifndef VMT_HOOKS_GO_H
#define VMT_HOOKS_GO_H

/* Makes the stacks. Until then, and where there is no memory for them, every call is one that finds
 * no stack. Constructor only. */
void vmt_hooks_go_set_up(void);

/* Not to be called from C. */
void vmt_hooks_go_entry(void);

#endif
