/*
 * last_walk.h: what this thread's last stack walk saw, and how much of it still holds
 *
 * Most of a stack is the same as last time. A walk is a function of the registers it starts with,
 * of the stack words it reads, and of the rules for code addresses. So a remembered frame is its
 * registers (pc, sp, rbp) and the places of the words that led to it. Where a new walk comes to the
 * very registers of a remembered frame, and all words remembered from there outwards are unchanged,
 * it would go on as the last one did, word for word: it need not. rbp counts only where a frame
 * further out reads it before it is loaded anew (`rbp_lives`).
 *
 * Kept are walks within one stack whose end is known. Signal frames and Go code end what is kept.
 *
 * Frames stand innermost first and end with the array, so that outer frames stay where they are.
 * While a walk goes on, its frames are put at the array's beginning, below those that may yet be
 * met; `top` says meanwhile that nothing is remembered, so a walk that is left by longjmp does no
 * harm. One walk a thread at a time: callers are inside the tracer (guard.h).
 *
 * A pool in private memory, which grows piece by piece; a thread takes a part of it once it has
 * walked some times. A thread
 * says nothing when it ends: its part is taken over when the kernel no longer knows it. Whoever
 * gets none walks afresh each time. Lock-free, no allocation; async-signal-safe within the caller's
 * guard. In a fork child the pool is empty.
 */
#ifndef VMT_LAST_WALK_H
#define VMT_LAST_WALK_H

#include "capture/core/guard.h"
#include "format/stack_table.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_LAST_WALK_FRAMES 64u
/* A walk that starts with nothing to go by stops here: the rest is room for inner frames. */
#define VMT_LAST_WALK_FRESH 48u
#define VMT_LAST_WALK_POOL 256u
#define VMT_LAST_WALK_PIECES 8u	   /* that the pool is mapped in, one by one */
#define VMT_LAST_WALK_CLAIM_AT 16u /* walks of a thread before it takes a part of the pool */

struct vmt_last_frame {
	uint64_t sp;	 /* the return address, the frame's pc, lies just below */
	uint64_t rbp;	 /* as it is in this frame */
	uint64_t hash;	 /* vmt_stack_table_add_frame over this frame and all further out */
	uint32_t rbp_at; /* rbp was loaded from sp - 8 * this, and lives; 0 = else */
	uint32_t cfa_at; /* sp was loaded from sp - 8 * this; 0 = it was computed */
	bool rbp_made;	 /* the step to here loaded or lost rbp */
	bool rbp_read;	 /* the step outwards from here reads rbp */
	bool rbp_lives;	 /* ... or one further out does, and none before makes it anew */
};

struct vmt_last_walk {
	uint32_t owner;	     /* thread id; 0 = nobody */
	uint32_t generation; /* of the process's owner page: stack ids are the trace's */
	uint32_t epoch;	     /* of the rules */
	uint32_t resting;    /* walks to come that are not worth a try */
	uint32_t top;	     /* [top, VMT_LAST_WALK_FRAMES) is remembered */
	uint32_t stack;	     /* id of the whole; 0 = not asked yet */
	bool complete;	     /* no frame lies further out */
	uint64_t end;	     /* of the stack */
	uint64_t pc[VMT_LAST_WALK_FRAMES];
	/* Of the stack from each remembered frame to the last one, the id; 0 = not known. */
	uint32_t ids[VMT_LAST_WALK_FRAMES];
	struct vmt_last_frame frames[VMT_LAST_WALK_FRAMES];
};

extern uint32_t vmt_last_walk_epoch;

/* Makes the pool. Without memory nothing is remembered. Constructor, tests. */
void vmt_last_walk_set_up(void);

/* Unmaps the pool, when nobody is inside the tracer any more, nor will be. */
void vmt_last_walk_unmap(void);
/* What that would unmap. */
uint64_t vmt_last_walk_mapped_bytes(void);

/* Rules have changed: no thread goes by its last walk any more. After the change. */
void vmt_last_walk_forget(void);

struct vmt_last_walk *vmt_last_walk_claim_slow(struct vmt_thread *thread);

/* The calling thread's; NULL: it has none. */
static inline struct vmt_last_walk *
vmt_last_walk_mine(void)
{
	struct vmt_thread *thread = vmt_thread_mine();
	struct vmt_last_walk *last = thread->last_walk;

	if (__builtin_expect(last && last->generation == vmt_guard_owner->generation, 1))
		return last;
	return vmt_last_walk_claim_slow(thread);
}

/* First remembered frame such that its words and those of all frames further out are unchanged;
 * VMT_LAST_WALK_FRAMES: none. [sp, end) can be read. */
uint32_t vmt_last_walk_intact(struct vmt_last_walk *last, uint64_t sp, uint64_t end);

/* Whether a remembered frame has these registers. */
static inline bool
vmt_last_walk_is_at(const struct vmt_last_walk *last, uint32_t frame, uint64_t pc, uint64_t sp,
		    uint64_t rbp)
{
	const struct vmt_last_frame *found = &last->frames[frame];

	return found->sp == sp && last->pc[frame] == pc && (found->rbp == rbp || !found->rbp_lives);
}

/* Takes [0, fresh) as the new inner frames of [outer, VMT_LAST_WALK_FRAMES). fresh <= outer. */
void vmt_last_walk_settle(struct vmt_last_walk *last, uint32_t fresh, uint32_t outer);

#endif
