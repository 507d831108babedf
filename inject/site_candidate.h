/*
 * site_candidate.h: what would be cut before a syscall instruction, and what number does it get?
 *
 * By the straight run of instructions before it, in which nothing but a conditional branch goes
 * elsewhere. Whether the cut may be made is another question (inject/site_judge.h,
 * inject/code_jumps.h). Pure; steps point into the map's copies.
 */
#ifndef VMT_SITE_CANDIDATE_H
#define VMT_SITE_CANDIDATE_H

#include "inject/instruction_length.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_STRAIGHT_RUN 16u /* instructions that are kept */

struct vmt_code_step {
	uint64_t address;
	const uint8_t *bytes;
	struct vmt_instruction instruction;
};

/* All zero: none. */
struct vmt_straight_run {
	struct vmt_code_step steps[VMT_STRAIGHT_RUN]; /* number i stands at i % VMT_STRAIGHT_RUN */
	uint32_t count;
	/* The run that ended with the last jump over some bytes: */
	struct vmt_code_step before_jump[VMT_STRAIGHT_RUN];
	uint32_t before_jump_count;
	uint64_t jump; /* that one */
	uint64_t jump_target;
};

/* A syscall instruction that was found. */
struct vmt_site_candidate {
	uint64_t syscall;
	uint64_t cut;	      /* the cut's first byte, if there is one */
	uint64_t cut_end;     /* the syscall, or the jump before it */
	uint64_t number_from; /* the instruction that tells the number; == syscall: none does */
	uint32_t number;
	uint64_t copied_at;	 /* where it is copied once from a register that the call leaves
				  * alone; 0: not so */
	uint8_t number_register; /* the number comes from it, and from before the straight run */
	bool is_constant;	 /* ... and its function brings no other number into it */
	uint8_t verdict;	 /* enum vmt_site_verdict */
	bool is_loop; /* a jump right behind it goes back to between number_from and copied_at */
	bool is_in_function;
	bool has_arguments; /* instructions before it look like it */
	uint32_t watch;	    /* for the caller's use */
};

/* The next instruction; one that ends a run begins another. */
void vmt_straight_run_add(struct vmt_straight_run *run, const struct vmt_code_step *step);

/* Of the syscall that comes next. */
void vmt_site_candidate_make(struct vmt_site_candidate *candidate,
			     const struct vmt_straight_run *run, uint64_t syscall,
			     bool is_in_function);

#endif
