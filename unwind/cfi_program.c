#include "unwind/cfi_program.h"

#include "base/assert.h"

#define REMEMBERED_MAX 6

/* DWARF numbers of x86-64's registers (psABI, figure 3.36). */
#define REGISTER_RBP 6
#define REGISTER_RSP 7

/* DW_CFA_*: the first three carry an operand in their low six bits. */
enum {
	CFA_ADVANCE = 0x40,
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
	CFA_NOP = 0x00,
	CFA_SET_LOCATION = 0x01,
	CFA_ADVANCE1 = 0x02,
	CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEFINE = 0x0c,
	CFA_DEFINE_REGISTER = 0x0d,
	CFA_DEFINE_OFFSET = 0x0e,
	CFA_DEFINE_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SIGNED = 0x11,
	CFA_DEFINE_SIGNED = 0x12,
	CFA_DEFINE_OFFSET_SIGNED = 0x13,
	CFA_VALUE_OFFSET = 0x14,
	CFA_VALUE_OFFSET_SIGNED = 0x15,
	CFA_VALUE_EXPRESSION = 0x16,
	CFA_ARGUMENTS_SIZE = 0x2e,
	CFA_NEGATIVE_OFFSET = 0x2f,
};

/* DW_OP_*: those of the known expressions. */
enum {
	OP_DEREF = 0x06,
	OP_AND = 0x1a,
	OP_PLUS = 0x22,
	OP_SHL = 0x24,
	OP_GE = 0x2a,
	OP_LIT0 = 0x30,
	OP_LIT3 = 0x33,
	OP_LIT15 = 0x3f,
	OP_BREG6 = 0x76, /* rbp */
	OP_BREG7 = 0x77, /* rsp */
	OP_BREG16 = 0x80 /* rip */
};

struct remembered {
	struct vmt_cfi_row rows[REMEMBERED_MAX];
	uint32_t count;
};

static struct vmt_cfi_register *
find_register(struct vmt_cfi_program *program, struct vmt_cfi_row *row, uint64_t number)
{
	if (number == REGISTER_RBP)
		return &row->rbp;
	return number == program->ra_register ? &row->ra : NULL;
}

static void
set_register(struct vmt_cfi_program *program, uint64_t number, enum vmt_cfi_saved saved,
	     int64_t offset)
{
	struct vmt_cfi_register *found = find_register(program, &program->row, number);

	if (found)
		*found = (struct vmt_cfi_register){saved, offset};
}

static void
restore_register(struct vmt_cfi_program *program, uint64_t number)
{
	struct vmt_cfi_register *found = find_register(program, &program->row, number);

	if (found)
		*found = *find_register(program, &program->initial, number);
}

/* Wraps rather than overflows: absurd factors give absurd offsets, which are refused later. */
static int64_t
factored(const struct vmt_cfi_program *program, uint64_t factor)
{
	return (int64_t)((uint64_t)program->data_align * factor);
}

static void
define_cfa(struct vmt_cfi_program *program, uint64_t number, int64_t offset)
{
	program->row.cfa = number == REGISTER_RSP   ? VMT_CFI_CFA_RSP
			   : number == REGISTER_RBP ? VMT_CFI_CFA_RBP
						    : VMT_CFI_CFA_ODD;
	program->row.cfa_offset = offset;
}

static struct vmt_cfi_cursor
take_block(struct vmt_cfi_cursor *code)
{
	uint64_t bytes = vmt_cfi_cursor_take_uleb(code);
	struct vmt_cfi_cursor block = *code;

	vmt_cfi_cursor_skip(code, bytes);
	block.failed = code->failed;
	if (!block.failed)
		block.end = block.at + bytes;
	vmt_assert(block.failed || block.end <= code->end);
	return block;
}

/*
 * GNU ld's expression for a PLT: rsp + 8 + (((rip & 15) >= N) << 3), that is, after the push at
 * offset N of a stub there is one word more on the stack. Returns N, or -1.
 */
static int
plt_threshold(const struct vmt_cfi_cursor *block)
{
	static const unsigned char pattern[] = {
	    OP_BREG7, 8, OP_BREG16, 0, OP_LIT15, OP_AND, OP_LIT0, OP_GE, OP_LIT3, OP_SHL, OP_PLUS};
	int threshold = -1;

	if (block->failed || block->end - block->at != (long)sizeof(pattern))
		return -1;
	for (unsigned i = 0; i < sizeof(pattern); i++) {
		if (pattern[i] == OP_LIT0 && (block->at[i] & 0xf0) == OP_LIT0)
			threshold = block->at[i] - OP_LIT0;
		else if (block->at[i] != pattern[i])
			return -1;
	}
	return threshold;
}

/* GCC's for a realigned frame: the CFA was spilled below rbp: DW_OP_breg6 offset, DW_OP_deref. */
static void
define_cfa_by_expression(struct vmt_cfi_program *program, struct vmt_cfi_cursor block)
{
	int threshold = plt_threshold(&block);
	int64_t offset;

	program->row.cfa = VMT_CFI_CFA_ODD;
	if (threshold >= 0) {
		program->row.cfa = VMT_CFI_CFA_RSP;
		program->row.cfa_offset = (program->address & 15) >= (uint64_t)threshold ? 16 : 8;
		return;
	}
	if (vmt_cfi_cursor_take(&block, 1) != OP_BREG6)
		return;
	offset = vmt_cfi_cursor_take_sleb(&block);
	if (vmt_cfi_cursor_take(&block, 1) == OP_DEREF && !block.failed && block.at == block.end) {
		program->row.cfa = VMT_CFI_CFA_LOAD;
		program->row.cfa_offset = offset;
	}
}

static void
set_register_by_expression(struct vmt_cfi_program *program, uint64_t number,
			   struct vmt_cfi_cursor block)
{
	uint64_t operation = vmt_cfi_cursor_take(&block, 1);
	int64_t offset = vmt_cfi_cursor_take_sleb(&block);

	if (operation == OP_BREG6 && !block.failed && block.at == block.end)
		set_register(program, number, VMT_CFI_SAVED_RBP, offset);
	else
		set_register(program, number, VMT_CFI_SAVED_ODD, 0);
}

/* Instructions that speak of the CFA. False: not one of them. */
static bool
run_cfa(struct vmt_cfi_program *program, struct vmt_cfi_cursor *code, uint8_t operation)
{
	uint64_t number;

	switch (operation) {
	case CFA_DEFINE:
		number = vmt_cfi_cursor_take_uleb(code);
		define_cfa(program, number, (int64_t)vmt_cfi_cursor_take_uleb(code));
		return true;
	case CFA_DEFINE_SIGNED:
		number = vmt_cfi_cursor_take_uleb(code);
		define_cfa(program, number,
			   factored(program, (uint64_t)vmt_cfi_cursor_take_sleb(code)));
		return true;
	case CFA_DEFINE_REGISTER:
		define_cfa(program, vmt_cfi_cursor_take_uleb(code), program->row.cfa_offset);
		return true;
	case CFA_DEFINE_OFFSET:
		program->row.cfa_offset = (int64_t)vmt_cfi_cursor_take_uleb(code);
		return true;
	case CFA_DEFINE_OFFSET_SIGNED:
		program->row.cfa_offset =
		    factored(program, (uint64_t)vmt_cfi_cursor_take_sleb(code));
		return true;
	case CFA_DEFINE_EXPRESSION:
		define_cfa_by_expression(program, take_block(code));
		return true;
	default:
		return false;
	}
}

/* Instructions that speak of a register: the operand that they all begin with is taken. False: not
 * one of them. */
static bool
run_register(struct vmt_cfi_program *program, struct vmt_cfi_cursor *code, uint8_t operation)
{
	uint64_t number;

	if (operation < CFA_OFFSET_EXTENDED || operation == CFA_ARGUMENTS_SIZE)
		return false;
	number = vmt_cfi_cursor_take_uleb(code);
	switch (operation) {
	case CFA_OFFSET_EXTENDED:
		set_register(program, number, VMT_CFI_SAVED_CFA,
			     factored(program, vmt_cfi_cursor_take_uleb(code)));
		return true;
	case CFA_OFFSET_EXTENDED_SIGNED:
		set_register(program, number, VMT_CFI_SAVED_CFA,
			     factored(program, (uint64_t)vmt_cfi_cursor_take_sleb(code)));
		return true;
	case CFA_NEGATIVE_OFFSET:
		set_register(program, number, VMT_CFI_SAVED_CFA,
			     factored(program, -vmt_cfi_cursor_take_uleb(code)));
		return true;
	case CFA_RESTORE_EXTENDED:
		restore_register(program, number);
		return true;
	case CFA_UNDEFINED:
		set_register(program, number, VMT_CFI_SAVED_UNDEFINED, 0);
		return true;
	case CFA_SAME_VALUE:
		set_register(program, number, VMT_CFI_SAVED_SAME, 0);
		return true;
	case CFA_REGISTER:
	case CFA_VALUE_OFFSET:
	case CFA_VALUE_OFFSET_SIGNED:
		vmt_cfi_cursor_take_uleb(code);
		set_register(program, number, VMT_CFI_SAVED_ODD, 0);
		return true;
	case CFA_EXPRESSION:
		set_register_by_expression(program, number, take_block(code));
		return true;
	case CFA_VALUE_EXPRESSION:
		take_block(code);
		set_register(program, number, VMT_CFI_SAVED_ODD, 0);
		return true;
	default:
		return false;
	}
}

/* The location that an instruction moves to; UINT64_MAX: it does not. */
static uint64_t
run_location(struct vmt_cfi_program *program, struct vmt_cfi_cursor *code, uint8_t operation)
{
	if ((operation & 0xc0) == CFA_ADVANCE)
		return program->location + (operation & 0x3f) * program->code_align;
	switch (operation) {
	case CFA_SET_LOCATION:
		return vmt_cfi_cursor_take_pointer(code, program->pointer_encoding, 0);
	case CFA_ADVANCE1:
		return program->location + vmt_cfi_cursor_take(code, 1) * program->code_align;
	case CFA_ADVANCE2:
		return program->location + vmt_cfi_cursor_take(code, 2) * program->code_align;
	case CFA_ADVANCE4:
		return program->location + vmt_cfi_cursor_take(code, 4) * program->code_align;
	default:
		return UINT64_MAX;
	}
}

/* Everything else. False: unknown, or more remembered rows than there is room for. */
static bool
run_state(struct vmt_cfi_program *program, struct vmt_cfi_cursor *code, uint8_t operation,
	  struct remembered *remembered)
{
	switch (operation) {
	case CFA_NOP:
		return true;
	case CFA_ARGUMENTS_SIZE:
		vmt_cfi_cursor_take_uleb(code);
		return true;
	case CFA_REMEMBER:
		if (remembered->count == REMEMBERED_MAX)
			return false;
		remembered->rows[remembered->count++] = program->row;
		return true;
	case CFA_RESTORE_STATE:
		if (remembered->count == 0)
			return false;
		vmt_assert(remembered->count <= REMEMBERED_MAX);
		program->row = remembered->rows[--remembered->count];
		return true;
	default:
		return false;
	}
}

bool
vmt_cfi_program_run(struct vmt_cfi_program *program, struct vmt_cfi_cursor *code)
{
	struct remembered remembered;

	remembered.count = 0;
	while (vmt_cfi_cursor_more(code)) {
		uint8_t operation = (uint8_t)vmt_cfi_cursor_take(code, 1);
		uint64_t location = run_location(program, code, operation);

		if (location != UINT64_MAX) {
			if (location > program->address)
				return !code->failed;
			program->location = location;
		} else if ((operation & 0xc0) == CFA_OFFSET) {
			set_register(program, operation & 0x3f, VMT_CFI_SAVED_CFA,
				     factored(program, vmt_cfi_cursor_take_uleb(code)));
		} else if ((operation & 0xc0) == CFA_RESTORE) {
			restore_register(program, operation & 0x3f);
		} else if (!run_state(program, code, operation, &remembered) &&
			   !run_cfa(program, code, operation) &&
			   !run_register(program, code, operation)) {
			return false;
		}
	}
	return !code->failed;
}
