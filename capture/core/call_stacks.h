/*
 * call_stacks.h: the stacks that raw calls of the program are recorded on
 *
 * The entries of capture/entry/raw_entry.h take and give them back by their numbers. There are 64
 * at most, few where a limit counts what the tracer maps. The lowest free one is taken, so that few
 * are ever touched. Each has a page at its lower end that can't be touched, the later ones from
 * their first use on: what would run over ends there, and harms nobody else's memory.
 *
 * Lock-free, async-signal-safe. Units: bytes.
 */
#ifndef VMT_CALL_STACKS_H
#define VMT_CALL_STACKS_H

#include "capture/core/thread.h"
#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_CALL_STACK_SHIFT 16
#define VMT_CALL_STACK_BYTES (UINT64_C(1) << VMT_CALL_STACK_SHIFT)
#define VMT_CALL_STACKS 64u
#define VMT_CALL_STACKS_SCARCE 8u

/* What the entries use; they know where each of the first members lies. */
struct vmt_call_stacks {
	uint64_t free; /* bit i: stack i can be taken */
	uint64_t base;
	uint64_t first_top; /* where stack 0 begins to be used, downwards */
	uint64_t missed;    /* calls that were made unrecorded */
	uint64_t counter;   /* where the trace counts them while it is mapped; 0: nowhere */
	uint64_t notes;	    /* where its notes are (vmt_head.notes) */
	uint64_t there;	    /* bit i: stack i is mapped */
	uint64_t guarded;   /* bit i: its last page has been closed */
};

extern struct vmt_call_stacks vmt_call_stacks;

/* Makes them. Until then, and where there is no memory for them, none can be taken. Set-up. */
void vmt_call_stacks_set_up(bool scarce);

/* In a fork child, which has one thread: all but the one that it runs on are free. */
void vmt_call_stacks_forked(void);

/* Whether no thread is on one. Only while no other thread runs does that stay so. */
bool vmt_call_stacks_are_free(void);

/* On one of them, before anything else is called. caller_sp: the program's stack pointer. */
void vmt_call_stacks_begin(uint64_t caller_sp);

/* From now on code that runs on none of them is known to run on the program's (thread.h). False:
 * there are none. At the end of set-up. */
bool vmt_call_stacks_tell(void);

/* The trace in which missed calls are counted from now on; NULL: none, before it is unmapped. */
void vmt_call_stacks_count_in(struct vmt_head *head);

/* Gives those back to the kernel that are free and have none in use above; and how many bytes that
 * would be. No stack that was given back is ever taken again. */
void vmt_call_stacks_give_up(void);
uint64_t vmt_call_stacks_spare_bytes(void);

#endif
