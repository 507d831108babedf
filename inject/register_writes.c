#include "inject/register_writes.h"

#include <string.h>

#define RDX 2u
#define R11 11u

/* Where an instruction writes, by its opcode. */
enum destination {
	NOWHERE,       /* no general register */
	TO_REG,	       /* the middle bits of ModRM, with REX.R */
	TO_RM,	       /* ModRM's register, with REX.B; memory is none */
	TO_RM_AND_REG, /* both: xchg, xadd */
	TO_RM_AND_RAX, /* cmpxchg */
	TO_RM_BUT_7,   /* as TO_RM, but for a compare, whose middle bits are 7 */
	TO_RM_23,      /* neg and not; a test writes nothing, mul and div write rax and rdx */
	TO_OPCODE,     /* the lowest bits of the opcode, with REX.B */
	TO_RAX,
	TO_SCRATCH,	 /* rax, rcx, rdx, rsi, rdi: strings, counts, extensions of a sign */
	TO_ALL_BUT_KEPT, /* a call */
	TO_KERNEL,	 /* rax, rcx, r11: a syscall */
	TO_ANYTHING,	 /* not known here */
};

struct range {
	uint8_t first;
	uint8_t last;
	uint8_t destination;
};

/* The first that holds the opcode. */
static enum destination
find_range(const struct range *ranges, size_t count, uint8_t opcode)
{
	for (size_t i = 0; i < count; i++)
		if (opcode >= ranges[i].first && opcode <= ranges[i].last)
			return (enum destination)ranges[i].destination;
	return TO_ANYTHING;
}

#define FIND(ranges, opcode) find_range(ranges, sizeof(ranges) / sizeof((ranges)[0]), opcode)

static enum destination
destination_of_arithmetic(uint8_t opcode)
{
	static const struct range forms[] = {{0, 1, TO_RM}, {2, 3, TO_REG}, {4, 5, TO_RAX}};

	if (opcode >= 0x38) /* cmp */
		return NOWHERE;
	return FIND(forms, opcode & 7);
}

static enum destination
destination_of_one_byte(const struct vmt_instruction *instruction)
{
	static const struct range ranges[] = {
	    {0x50, 0x57, NOWHERE},    {0x58, 0x5f, TO_OPCODE},	   {0x63, 0x63, TO_REG},
	    {0x68, 0x68, NOWHERE},    {0x69, 0x69, TO_REG},	   {0x6a, 0x6a, NOWHERE},
	    {0x6b, 0x6b, TO_REG},     {0x70, 0x7f, NOWHERE},	   {0x80, 0x83, TO_RM_BUT_7},
	    {0x84, 0x85, NOWHERE},    {0x86, 0x87, TO_RM_AND_REG}, {0x88, 0x89, TO_RM},
	    {0x8a, 0x8b, TO_REG},     {0x8d, 0x8d, TO_REG},	   {0x8f, 0x8f, TO_RM},
	    {0x98, 0x99, TO_SCRATCH}, {0x9b, 0x9e, NOWHERE},	   {0x9f, 0x9f, TO_RAX},
	    {0xa0, 0xa1, TO_RAX},     {0xa2, 0xa3, NOWHERE},	   {0xa4, 0xa7, TO_SCRATCH},
	    {0xa8, 0xa9, NOWHERE},    {0xaa, 0xaf, TO_SCRATCH},	   {0xb0, 0xbf, TO_OPCODE},
	    {0xc0, 0xc1, TO_RM},      {0xc6, 0xc7, TO_RM},	   {0xd0, 0xd3, TO_RM},
	    {0xd8, 0xde, NOWHERE},    {0xdf, 0xdf, TO_RAX},	   {0xe0, 0xe3, TO_SCRATCH},
	    {0xf5, 0xf5, NOWHERE},    {0xf6, 0xf7, TO_RM_23},	   {0xf8, 0xf9, NOWHERE},
	    {0xfc, 0xfd, NOWHERE},    {0xfe, 0xfe, TO_RM},	   {0xff, 0xff, TO_RM},
	};

	if (instruction->opcode < 0x40)
		return destination_of_arithmetic(instruction->opcode);
	if (instruction->opcode == 0x90) /* nop; xchg %r8,%rax */
		return (instruction->rex & 1) != 0 ? TO_ANYTHING : NOWHERE;
	return FIND(ranges, instruction->opcode);
}

/* What is in none of these writes vectors, masks, or is rare. */
static enum destination
destination_of_0f(uint8_t opcode)
{
	static const struct range ranges[] = {
	    {0x05, 0x05, TO_KERNEL},	 {0x0b, 0x0b, NOWHERE},	      {0x0d, 0x0d, NOWHERE},
	    {0x10, 0x1d, NOWHERE},	 {0x1e, 0x1e, TO_RM}, /* rdssp; endbr64 too */
	    {0x1f, 0x1f, NOWHERE},	 {0x28, 0x2b, NOWHERE},	      {0x2c, 0x2d, TO_REG},
	    {0x2e, 0x2f, NOWHERE},	 {0x31, 0x31, TO_SCRATCH},    {0x40, 0x50, TO_REG},
	    {0x51, 0x77, NOWHERE},	 {0x7c, 0x7d, NOWHERE},	      {0x7e, 0x7e, TO_RM},
	    {0x7f, 0x7f, NOWHERE},	 {0x80, 0x8f, NOWHERE},	      {0x90, 0x9f, TO_RM},
	    {0xa3, 0xa3, NOWHERE},	 {0xa4, 0xa5, TO_RM},	      {0xab, 0xad, TO_RM},
	    {0xaf, 0xaf, TO_REG},	 {0xb0, 0xb1, TO_RM_AND_RAX}, {0xb3, 0xb3, TO_RM},
	    {0xb6, 0xb8, TO_REG},	 {0xba, 0xbb, TO_RM},	      {0xbc, 0xbf, TO_REG},
	    {0xc0, 0xc1, TO_RM_AND_REG}, {0xc2, 0xc4, NOWHERE},	      {0xc5, 0xc5, TO_REG},
	    {0xc6, 0xc6, NOWHERE},	 {0xc8, 0xcf, TO_OPCODE},     {0xd0, 0xd6, NOWHERE},
	    {0xd7, 0xd7, TO_REG},	 {0xd8, 0xfe, NOWHERE},
	};

	return FIND(ranges, opcode);
}

/* Vector instructions of whatever map: these opcodes write a general register in one of them. */
static enum destination
destination_of_vector(uint8_t opcode)
{
	static const struct range ranges[] = {
	    {0x01, 0x02, TO_ANYTHING}, {0x10, 0x10, TO_ANYTHING}, {0x12, 0x12, TO_ANYTHING},
	    {0x14, 0x17, TO_ANYTHING}, {0x2c, 0x2d, TO_ANYTHING}, {0x50, 0x50, TO_ANYTHING},
	    {0x78, 0x7b, TO_ANYTHING}, {0x7e, 0x7e, TO_ANYTHING}, {0x93, 0x93, TO_ANYTHING},
	    {0xc5, 0xc5, TO_ANYTHING}, {0xd7, 0xd7, TO_ANYTHING}, {0xe0, 0xef, TO_ANYTHING},
	    {0xf0, 0xf7, TO_ANYTHING}, {0x00, 0xff, NOWHERE},
	};

	return FIND(ranges, opcode);
}

static enum destination
destination_of(const struct vmt_instruction *instruction)
{
	static const struct range of_0f38[] = {{0xf0, 0xff, TO_ANYTHING}, {0x00, 0xef, NOWHERE}};
	static const struct range of_0f3a[] = {
	    {0x14, 0x17, TO_ANYTHING}, {0xf0, 0xff, TO_ANYTHING}, {0x00, 0xef, NOWHERE}};

	if (instruction->flow == VMT_FLOW_CALL || instruction->flow == VMT_FLOW_CALL_INDIRECT)
		return TO_ALL_BUT_KEPT;
	if (!vmt_instruction_goes_on(instruction))
		return NOWHERE;
	switch (instruction->map) {
	case VMT_MAP_ONE_BYTE:
		return destination_of_one_byte(instruction);
	case VMT_MAP_0F:
		return destination_of_0f(instruction->opcode);
	case VMT_MAP_0F38:
		return FIND(of_0f38, instruction->opcode);
	case VMT_MAP_0F3A:
		return FIND(of_0f3a, instruction->opcode);
	default:
		return destination_of_vector(instruction->opcode);
	}
}

/* -- which register ---------------------------------------------------------------------------- */

static unsigned
reg_of(const uint8_t *bytes, const struct vmt_instruction *instruction)
{
	return (bytes[instruction->modrm_at] >> 3 & 7u) | (instruction->rex & 4u) << 1;
}

static unsigned
rm_of(const uint8_t *bytes, const struct vmt_instruction *instruction)
{
	return (bytes[instruction->modrm_at] & 7u) | (instruction->rex & 1u) << 3;
}

static unsigned
middle_bits(const uint8_t *bytes, const struct vmt_instruction *instruction)
{
	return instruction->modrm_at == 0 ? 0 : bytes[instruction->modrm_at] >> 3 & 7u;
}

static bool
names_registers(const uint8_t *bytes, const struct vmt_instruction *instruction)
{
	return bytes[instruction->modrm_at] >> 6 == 3;
}

/* Of an operation on bytes without REX, 4 to 7 are the second bytes of 0 to 3. */
static bool
is_register(const struct vmt_instruction *instruction, unsigned found, unsigned wanted)
{
	bool may_be_byte = instruction->map == VMT_MAP_0F || instruction->opcode < 0xb8;

	return found == wanted || (may_be_byte && instruction->rex == 0 && found == wanted + 4 &&
				   (instruction->map == VMT_MAP_0F ||
				    (instruction->opcode & 1) == 0 || instruction->opcode >= 0xb0));
}

static bool
rm_is(const uint8_t *bytes, const struct vmt_instruction *instruction, unsigned wanted)
{
	return names_registers(bytes, instruction) &&
	       is_register(instruction, rm_of(bytes, instruction), wanted);
}

static bool
reg_is(const uint8_t *bytes, const struct vmt_instruction *instruction, unsigned wanted)
{
	return is_register(instruction, reg_of(bytes, instruction), wanted);
}

static bool
opcode_is(const struct vmt_instruction *instruction, unsigned wanted)
{
	return is_register(instruction, (instruction->opcode & 7u) | (instruction->rex & 1u) << 3,
			   wanted);
}

bool
vmt_register_writes_is_kept(unsigned wanted)
{
	return wanted == 3 || wanted == 5 || wanted >= 12;
}

static bool
is_scratch(unsigned wanted)
{
	return wanted <= RDX || wanted == 6 || wanted == 7;
}

/* Whether the wanted register, or a part of it, may be written. */
static bool
may_write(const uint8_t *bytes, const struct vmt_instruction *instruction, unsigned wanted)
{
	unsigned middle = middle_bits(bytes, instruction);

	switch (destination_of(instruction)) {
	case NOWHERE:
		return false;
	case TO_REG:
		return reg_is(bytes, instruction, wanted);
	case TO_RM:
		return rm_is(bytes, instruction, wanted);
	case TO_RM_AND_REG:
		return rm_is(bytes, instruction, wanted) || reg_is(bytes, instruction, wanted);
	case TO_RM_AND_RAX:
		return wanted == VMT_REGISTER_RAX || rm_is(bytes, instruction, wanted);
	case TO_RM_BUT_7:
		return middle != 7 && rm_is(bytes, instruction, wanted);
	case TO_RM_23:
		return middle > 3 ? wanted == VMT_REGISTER_RAX || wanted == RDX
				  : middle > 1 && rm_is(bytes, instruction, wanted);
	case TO_OPCODE:
		return opcode_is(instruction, wanted);
	case TO_RAX:
		return wanted == VMT_REGISTER_RAX;
	case TO_SCRATCH:
		return is_scratch(wanted);
	case TO_ALL_BUT_KEPT:
		return !vmt_register_writes_is_kept(wanted);
	case TO_KERNEL:
		return wanted == VMT_REGISTER_RAX || wanted == 1 || wanted == R11;
	default:
		return true;
	}
}

/* -- what -------------------------------------------------------------------------------------- */

static struct vmt_register_write
number_of(const uint8_t *bytes, const struct vmt_instruction *instruction)
{
	struct vmt_register_write write = {.kind = VMT_WRITE_NUMBER};

	/* Of 8 bytes too: the kernel looks at the lower 4. */
	memcpy(&write.number, bytes + instruction->immediate_at, sizeof(write.number));
	return write;
}

static struct vmt_register_write
copy_of(unsigned source)
{
	return (struct vmt_register_write){.kind = VMT_WRITE_COPY, .source = (uint8_t)source};
}

/* Of an instruction of the first map that writes the wanted register, all 4 lower bytes of it. */
static struct vmt_register_write
describe(const uint8_t *bytes, const struct vmt_instruction *instruction)
{
	static const struct vmt_register_write unknown = {.kind = VMT_WRITE_UNKNOWN};
	static const struct vmt_register_write zero = {.kind = VMT_WRITE_NUMBER};
	uint8_t opcode = instruction->opcode;

	if (opcode >= 0x58 && opcode <= 0x5f)
		return (struct vmt_register_write){.kind = VMT_WRITE_RESTORE};
	if (opcode >= 0xb8 && opcode <= 0xbf)
		return number_of(bytes, instruction);
	if (instruction->modrm_at == 0 || !names_registers(bytes, instruction))
		return unknown;
	switch (opcode) {
	case 0xc7:
		return number_of(bytes, instruction);
	case 0x89:
		return copy_of(reg_of(bytes, instruction));
	case 0x63:
	case 0x8b:
		return copy_of(rm_of(bytes, instruction));
	case 0x31: /* xor, sub of itself */
	case 0x33:
	case 0x29:
	case 0x2b:
		return reg_of(bytes, instruction) == rm_of(bytes, instruction) ? zero : unknown;
	default:
		return unknown;
	}
}

struct vmt_register_write
vmt_register_writes_to(const uint8_t *bytes, const struct vmt_instruction *instruction,
		       unsigned wanted)
{
	if (!may_write(bytes, instruction, wanted))
		return (struct vmt_register_write){.kind = VMT_WRITE_NONE};
	if (instruction->map == VMT_MAP_ONE_BYTE && !instruction->has_operand_prefix &&
	    instruction->flow == VMT_FLOW_ON)
		return describe(bytes, instruction);
	return (struct vmt_register_write){.kind = VMT_WRITE_UNKNOWN};
}

bool
vmt_register_writes_argument(const uint8_t *bytes, const struct vmt_instruction *instruction)
{
	static const uint8_t arguments[] = {0, 7, 6, 2, 10, 8, 9};

	if (instruction->flow != VMT_FLOW_ON || destination_of(instruction) == TO_ANYTHING)
		return false;
	for (size_t i = 0; i < sizeof(arguments); i++)
		if (may_write(bytes, instruction, arguments[i]))
			return true;
	return false;
}
