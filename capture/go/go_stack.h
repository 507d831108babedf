/*
 * go_stack.h: knows Go code, and the stack of this thread's goroutine
 *
 * A thread that runs Go has its g in thread-local storage, g leads to the thread's m, and that to
 * the goroutine that the thread runs (m.curg), also while C code or the runtime itself runs on the
 * thread's own stack. A g begins with the bounds of its stack. The three offsets on the way stand
 * in the instructions of runtime.systemstack (asm_amd64.s, Go 1.19 to 1.26), from where they are
 * learnt at load; a function with other instructions leaves goroutines unknown.
 *
 * A goroutine whose stack has to grow calls runtime.morestack, which gives up the chain of frames
 * (from Go 1.21 on) and leaves the registers in g.sched; where that is, systemstack tells as well.
 *
 * The running goroutine's stack cannot move or go away meanwhile, so its bounds hold until the hook
 * returns. No system call, no lock; async-signal-safe.
 */
#ifndef VMT_GO_STACK_H
#define VMT_GO_STACK_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_GO_RUNTIMES 4u

struct vmt_go_runtime {
	uint64_t text_low; /* [low, low + bytes): its Go code at run time */
	uint64_t text_bytes;
	int64_t thread_to_g; /* from the thread pointer to the word that holds g */
	uint32_t g_to_m;
	uint32_t m_to_goroutine; /* 0: goroutines are unknown */
	uint32_t m_to_id;	 /* m.procid, right before m.gsignal; 0: unknown */
	uint32_t g_to_sp;	 /* g.sched.sp, g.sched.pc behind it; 0: unknown */
	uint32_t g_to_rbp;	 /* g.sched.bp */
	uint64_t grow_low;	 /* [low, low + bytes): runtime.morestack; bytes 0: unknown */
	uint64_t grow_bytes;
	bool makes_threads; /* without runtime/cgo: each thread has a stack of the runtime's */
};

/* A function of a goroutine that had not made its frame yet. */
struct vmt_go_growing {
	uint64_t pc; /* in the function */
	uint64_t sp; /* of its return address */
	uint64_t rbp;
	uint64_t stack_end;
};

/* Written at load; runtimes [0, count). */
extern struct vmt_go_runtime vmt_go_runtimes[VMT_GO_RUNTIMES];
extern uint32_t vmt_go_runtimes_count;

/* Adds a runtime whose systemstack lies at code, of which bytes can be read. False, and nothing
 * added: it is none. Constructor only. */
bool vmt_go_stack_add(uint64_t text_low, uint64_t text_high, const unsigned char *code,
		      uint64_t bytes);
/* The same without systemstack: goroutines are unknown. */
bool vmt_go_stack_add_text(uint64_t text_low, uint64_t text_high);

/* Tells the runtime added last where its morestack lies. Constructor only. */
void vmt_go_stack_add_growing(uint64_t code, uint64_t bytes);

/* Tells of the runtime added last that it makes its threads by itself. Constructor only. */
void vmt_go_stack_add_threads(void);

/* Where the goroutine that this thread runs needed a larger stack, if pc lies in morestack. */
bool vmt_go_stack_growing(uint64_t pc, struct vmt_go_growing *growing);

static inline bool
vmt_go_stack_is_code(uint64_t address)
{
	for (uint32_t i = 0; i < vmt_go_runtimes_count; i++) {
		if (address - vmt_go_runtimes[i].text_low < vmt_go_runtimes[i].text_bytes)
			return true;
	}
	return false;
}

/* Whether goroutines can be asked for at all. */
static inline bool
vmt_go_stack_is_known(void)
{
	return vmt_go_runtimes_count > 0 && vmt_go_runtimes[0].m_to_goroutine != 0;
}

/* Where the runtime keeps the id of the calling thread, one that it has made by itself; 0: unknown.
 * It has no id there at first. The word is never unmapped. */
uint64_t vmt_go_stack_id_word(void);

/* The end of the stack of the goroutine that this thread runs, if the stack holds the address;
 * else 0. */
uint64_t vmt_go_stack_end(uint64_t address);

#endif
