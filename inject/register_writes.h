/*
 * register_writes.h: what does an instruction bring into a register?
 *
 * For the number of a system call: what eax holds at a syscall is told by the instructions before
 * it. What is not known here counts as a write of something unknown. Registers have the numbers of
 * the encoding: rax 0, rcx 1, rdx 2, rbx 3, rsp 4, rbp 5, rsi 6, rdi 7, r8 8 and on. Pure.
 */
#ifndef VMT_REGISTER_WRITES_H
#define VMT_REGISTER_WRITES_H

#include "inject/instruction_length.h"

#include <stdint.h>

#define VMT_REGISTER_RAX 0u

enum vmt_register_write_kind {
	VMT_WRITE_NONE,
	VMT_WRITE_NUMBER,  /* a number that the instruction holds */
	VMT_WRITE_COPY,	   /* of another register */
	VMT_WRITE_RESTORE, /* what was pushed, as at a function's end */
	VMT_WRITE_UNKNOWN, /* something else, or the instruction is not known here */
};

struct vmt_register_write {
	uint8_t kind;	/* enum vmt_register_write_kind */
	uint8_t source; /* COPY */
	uint32_t number;
};

/* bytes: the instruction's own. A call leaves alone what its callee has to (System V ABI, 3.2.1),
 * and changes every other register. */
struct vmt_register_write vmt_register_writes_to(const uint8_t *bytes,
						 const struct vmt_instruction *instruction,
						 unsigned wanted);

/* Whether a function keeps this register for its caller. */
bool vmt_register_writes_is_kept(unsigned wanted);

/* Whether it is one by which compilers bring a system call's arguments into their registers. */
bool vmt_register_writes_argument(const uint8_t *bytes, const struct vmt_instruction *instruction);

#endif
