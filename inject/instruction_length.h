/*
 * instruction_length.h: how long is an x86-64 instruction, and where does it go on?
 *
 * Reads one instruction in 64-bit mode: legacy prefixes, REX, the opcode maps 0F, 0F 38, 0F 3A,
 * 3DNow!, VEX, EVEX and XOP. Intel SDM volume 2, chapters 2 and appendix A; AMD APM volume 3,
 * appendix A. What no processor has (or only one whose forms are not known here: APX) has no
 * length. Nor has a near branch with an operand size prefix, which AMD and Intel read differently,
 * and a prefix behind REX, which no compiler makes. It does not say whether an instruction may be
 * executed: reserved combinations of operands have a length.
 *
 * Bytes are untrusted; none beyond `room` is read. Pure: no state, no memory, thread and signal
 * safe.
 */
#ifndef VMT_INSTRUCTION_LENGTH_H
#define VMT_INSTRUCTION_LENGTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_INSTRUCTION_MAX_BYTES 15u

/* Where the processor goes on behind it. */
enum vmt_instruction_flow {
	VMT_FLOW_ON,		/* at the next instruction */
	VMT_FLOW_SYSCALL,	/* ... once the kernel has answered */
	VMT_FLOW_CALL,		/* relative: at its target, and later at the next instruction */
	VMT_FLOW_CALL_INDIRECT, /* through a register or memory */
	VMT_FLOW_BRANCH, /* conditional, relative: at its target or at the next instruction */
	VMT_FLOW_JUMP,	 /* relative: at its target */
	VMT_FLOW_JUMP_INDIRECT, /* through a register or memory */
	VMT_FLOW_RETURN,	/* at an address from the stack, or back from the kernel */
	VMT_FLOW_STOP,		/* nowhere that code tells: a trap, a halt */
};

/* Which opcode map its opcode is of. */
enum vmt_opcode_map {
	VMT_MAP_ONE_BYTE,
	VMT_MAP_0F,
	VMT_MAP_0F38,
	VMT_MAP_0F3A,
	VMT_MAP_VECTOR, /* VEX, EVEX or XOP, whatever the map */
};

struct vmt_instruction {
	uint8_t length; /* 1 to VMT_INSTRUCTION_MAX_BYTES */
	uint8_t flow;	/* enum vmt_instruction_flow */
	uint8_t map;	/* enum vmt_opcode_map */
	uint8_t opcode;
	uint8_t rex;	  /* 0: none */
	uint8_t modrm_at; /* offset of the ModRM byte; 0: none */
	uint8_t
	    rip_displacement_at; /* offset of 4 bytes, counted from the next instruction; 0: none */
	uint8_t immediate_at;	 /* offset; == length: none */
	bool has_operand_prefix; /* 66 */
	bool has_address_prefix; /* 67: addresses of 32 bits */
	int32_t distance;	 /* CALL, BRANCH, JUMP: from the next instruction to the target */
};

/* Its length, and what else is known of it; 0: not known, or it does not end within room. */
size_t vmt_instruction_length_read(const uint8_t *bytes, size_t room,
				   struct vmt_instruction *instruction);

/* Whether the instruction behind it in memory is reached from it, at once or after a call. */
static inline bool
vmt_instruction_goes_on(const struct vmt_instruction *instruction)
{
	return instruction->flow <= VMT_FLOW_BRANCH;
}

/* Whether `distance` says where it goes. */
static inline bool
vmt_instruction_has_target(const struct vmt_instruction *instruction)
{
	return instruction->flow == VMT_FLOW_CALL || instruction->flow == VMT_FLOW_BRANCH ||
	       instruction->flow == VMT_FLOW_JUMP;
}

#endif
