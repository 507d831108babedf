#include "inject/instruction_length.h"

#include "inject/opcode_forms.h"

#include <string.h>

#define PREFIX_OPERAND 0x66
#define PREFIX_ADDRESS 0x67
#define PREFIX_LOCK 0xf0
#define PREFIX_REPNE 0xf2
#define PREFIX_REP 0xf3
#define REX_W 8u

/* An instruction while it is read. */
struct reader {
	const uint8_t *bytes;
	size_t room; /* at most VMT_INSTRUCTION_MAX_BYTES */
	size_t at;
	uint8_t repeat; /* f2 or f3, the last of them; 0: none */
	bool has_lock;
	uint8_t modrm;
	struct vmt_instruction *out;
};

/* False: the bytes end. */
static bool
take(struct reader *reader, uint8_t *byte)
{
	if (reader->at >= reader->room)
		return false;
	*byte = reader->bytes[reader->at++];
	return true;
}

static bool
skip(struct reader *reader, size_t bytes)
{
	if (reader->room - reader->at < bytes)
		return false;
	reader->at += bytes;
	return true;
}

static bool
is_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26: /* es, cs, ss, ds, fs, gs */
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case PREFIX_OPERAND:
	case PREFIX_ADDRESS:
	case PREFIX_LOCK:
	case PREFIX_REPNE:
	case PREFIX_REP:
		return true;
	default:
		return false;
	}
}

static void
note_prefix(struct reader *reader, uint8_t prefix)
{
	if (prefix == PREFIX_OPERAND)
		reader->out->has_operand_prefix = true;
	else if (prefix == PREFIX_ADDRESS)
		reader->out->has_address_prefix = true;
	else if (prefix == PREFIX_LOCK)
		reader->has_lock = true;
	else if (prefix == PREFIX_REPNE || prefix == PREFIX_REP)
		reader->repeat = prefix;
}

/* Prefixes, REX, and the first byte behind them. */
static bool
read_prefixes(struct reader *reader, uint8_t *opcode)
{
	uint8_t byte;

	do {
		if (!take(reader, &byte))
			return false;
		note_prefix(reader, byte);
	} while (is_prefix(byte));
	if ((byte & 0xf0) == 0x40) {
		reader->out->rex = byte;
		if (!take(reader, &byte) || is_prefix(byte) || (byte & 0xf0) == 0x40)
			return false;
	}
	*opcode = byte;
	return true;
}

/* ModRM, SIB and displacement: SDM volume 2, tables 2-2 and 2-3. */
static bool
read_modrm(struct reader *reader)
{
	uint8_t mode;
	uint8_t base;
	uint8_t sib;

	reader->out->modrm_at = (uint8_t)reader->at;
	if (!take(reader, &reader->modrm))
		return false;
	mode = reader->modrm >> 6;
	base = reader->modrm & 7;
	if (mode == 3)
		return true;
	if (base == 4) {
		if (!take(reader, &sib))
			return false;
		return skip(reader, mode == 1 ? 1 : mode == 2 || (sib & 7) == 5 ? 4 : 0);
	}
	if (mode == 0 && base == 5) {
		reader->out->rip_displacement_at = (uint8_t)reader->at;
		return skip(reader, 4);
	}
	return skip(reader, mode == 1 ? 1 : mode == 2 ? 4 : 0);
}

static bool
is_wide(const struct reader *reader)
{
	return (reader->out->rex & REX_W) != 0;
}

static bool
read_immediate(struct reader *reader, size_t bytes)
{
	reader->out->immediate_at = (uint8_t)reader->at;
	return skip(reader, bytes);
}

/* Of the size of the operand, but not of 8 bytes. */
static size_t
operand_bytes(const struct reader *reader)
{
	return reader->out->has_operand_prefix && !is_wide(reader) ? 2 : 4;
}

static bool
read_distance(struct reader *reader, size_t bytes)
{
	int32_t far;
	int8_t near;

	if (reader->out->has_operand_prefix && !is_wide(reader) && bytes != 1)
		return false;
	if (!read_immediate(reader, bytes))
		return false;
	if (bytes == 1) {
		memcpy(&near, reader->bytes + reader->at - 1, sizeof(near));
		reader->out->distance = (int)near;
	} else {
		memcpy(&far, reader->bytes + reader->at - sizeof(far), sizeof(far));
		reader->out->distance = far;
	}
	return true;
}

static uint8_t
middle_bits(const struct reader *reader)
{
	return reader->modrm >> 3 & 7;
}

/* xabort and xbegin have the place of a mov, whose middle bits are 0. */
static bool
read_move(struct reader *reader, size_t bytes)
{
	if (reader->modrm == 0xf8 && bytes == 1)
		return read_immediate(reader, 1);
	if (reader->modrm == 0xf8) {
		reader->out->flow = VMT_FLOW_BRANCH;
		return read_distance(reader, 4);
	}
	return middle_bits(reader) == 0 && read_immediate(reader, bytes);
}

/* extrq and insertq of SSE4a, else vmread. */
static bool
read_extract(struct reader *reader)
{
	if (reader->repeat == PREFIX_REP)
		return false;
	if (reader->repeat == 0 && !reader->out->has_operand_prefix)
		return true;
	return reader->modrm >> 6 == 3 && read_immediate(reader, 2);
}

/* What follows the ModRM byte, or what it must be. */
static bool
read_behind_modrm(struct reader *reader, char form)
{
	bool is_test = middle_bits(reader) < 2;

	switch (form) {
	case 'm':
		return true;
	case 'B':
		return read_immediate(reader, 1);
	case 'Z':
		return read_immediate(reader, operand_bytes(reader));
	case 't':
		return !is_test || read_immediate(reader, 1);
	case 'T':
		return !is_test || read_immediate(reader, operand_bytes(reader));
	case '0':
		return read_move(reader, 1);
	case '1':
		return read_move(reader, operand_bytes(reader));
	case '2':
		return is_test;
	case '3':
		return middle_bits(reader) != 7;
	case '4':
		return middle_bits(reader) == 0;
	case 's':
		return read_extract(reader);
	default:
		return false;
	}
}

static bool
read_operands(struct reader *reader, char form)
{
	switch (form) {
	case '.':
		return true;
	case 'x':
		return false;
	case 'b':
		return read_immediate(reader, 1);
	case 'w':
		return read_immediate(reader, 2);
	case 'z':
		return read_immediate(reader, operand_bytes(reader));
	case 'v':
		return read_immediate(reader, is_wide(reader) ? 8 : operand_bytes(reader));
	case 'e':
		return read_immediate(reader, 3);
	case 'a':
		return read_immediate(reader, reader->out->has_address_prefix ? 4 : 8);
	case 'j':
		return read_distance(reader, 1);
	case 'J':
		return read_distance(reader, 4);
	case 'r': /* the byte names registers, whatever its highest bits */
		reader->out->modrm_at = (uint8_t)reader->at;
		return take(reader, &reader->modrm);
	default:
		return read_modrm(reader) && read_behind_modrm(reader, form);
	}
}

/* Opcodes of the 0F map that take 1 byte more, whichever the encoding: shuffles, shifts, compares.
 * */
static bool
has_selector(uint8_t opcode)
{
	return (opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 ||
	       (opcode >= 0xc4 && opcode <= 0xc6);
}

/* SDM volume 2, 2.3 and 2.7: map 1 is 0F, 2 is 0F 38, 3 is 0F 3A, 5 and 6 have AVX512-FP16. */
static bool
read_vector_operands(struct reader *reader, unsigned map, bool is_evex)
{
	uint8_t opcode = reader->out->opcode;

	if (!is_evex && map == 1 && opcode == 0x77) /* vzeroupper, vzeroall */
		return true;
	if (map < 1 || map > (is_evex ? 6u : 3u) || map == 4)
		return false;
	if (!read_modrm(reader))
		return false;
	return !(map == 3 || (map == 1 && has_selector(opcode))) || read_immediate(reader, 1);
}

/* AMD APM volume 3, 1.8.4: map 8 takes 1 byte, 9 none, 10 takes 4. */
static bool
read_xop_operands(struct reader *reader, unsigned map)
{
	if (map < 8 || map > 10 || !read_modrm(reader))
		return false;
	return map == 9 || read_immediate(reader, map == 8 ? 1 : 4);
}

/* The prefixes of such an encoding lie within it: others before it are no instruction. */
static bool
may_be_vector(const struct reader *reader)
{
	return reader->out->rex == 0 && !reader->out->has_operand_prefix && reader->repeat == 0 &&
	       !reader->has_lock;
}

/* c5, c4, 8f or 62 has been taken. */
static bool
read_vector(struct reader *reader, uint8_t first)
{
	const uint8_t *payload = reader->bytes + reader->at;
	size_t payload_bytes = first == 0xc5 ? 1 : first == 0x62 ? 3 : 2;

	reader->out->map = VMT_MAP_VECTOR;
	if (!may_be_vector(reader) || !skip(reader, payload_bytes) ||
	    !take(reader, &reader->out->opcode))
		return false;
	if (first == 0xc5)
		return read_vector_operands(reader, 1, false);
	if (first == 0xc4)
		return read_vector_operands(reader, payload[0] & 0x1f, false);
	if (first == 0x8f)
		return read_xop_operands(reader, payload[0] & 0x1f);
	/* Bits that are not as here are APX's. */
	if ((payload[0] & 0x08) != 0 || (payload[1] & 0x04) == 0)
		return false;
	return read_vector_operands(reader, payload[0] & 7, true);
}

static bool
begins_vector(const struct reader *reader, uint8_t byte)
{
	if (byte == 0x8f) /* XOP: its map is at least 8; else a pop */
		return reader->at < reader->room && (reader->bytes[reader->at] & 0x1f) >= 8;
	return byte == 0xc4 || byte == 0xc5 || byte == 0x62;
}

static bool
read_0f(struct reader *reader)
{
	struct vmt_instruction *out = reader->out;

	if (!take(reader, &out->opcode))
		return false;
	if (out->opcode == 0x38) {
		out->map = VMT_MAP_0F38;
		return take(reader, &out->opcode) &&
		       read_operands(reader, vmt_opcode_forms_0f38[out->opcode]);
	}
	if (out->opcode == 0x3a) {
		out->map = VMT_MAP_0F3A;
		return take(reader, &out->opcode) &&
		       read_operands(reader, vmt_opcode_forms_0f3a[out->opcode]);
	}
	out->map = VMT_MAP_0F;
	if (out->opcode == 0xb8 && reader->repeat != PREFIX_REP) /* popcnt alone */
		return false;
	return read_operands(reader, vmt_opcode_forms_0f[out->opcode]);
}

static uint8_t
flow_of_ff(const struct reader *reader)
{
	switch (middle_bits(reader)) {
	case 2:
	case 3:
		return VMT_FLOW_CALL_INDIRECT;
	case 4:
	case 5:
		return VMT_FLOW_JUMP_INDIRECT;
	default:
		return VMT_FLOW_ON;
	}
}

static uint8_t
flow_of_one_byte(const struct reader *reader)
{
	switch (reader->out->opcode) {
	case 0xe8:
		return VMT_FLOW_CALL;
	case 0xe9:
	case 0xeb:
		return VMT_FLOW_JUMP;
	case 0xc2:
	case 0xc3:
	case 0xca: /* far */
	case 0xcb:
	case 0xcf: /* iret */
		return VMT_FLOW_RETURN;
	case 0xcc:
	case 0xf1:
	case 0xf4:
		return VMT_FLOW_STOP;
	case 0xff:
		return flow_of_ff(reader);
	default:
		return vmt_opcode_forms[reader->out->opcode] == 'j' ? VMT_FLOW_BRANCH
								    : reader->out->flow;
	}
}

static uint8_t
flow_of_0f(uint8_t opcode)
{
	switch (opcode) {
	case 0x05:
		return VMT_FLOW_SYSCALL;
	case 0x07: /* sysret, sysexit */
	case 0x35:
		return VMT_FLOW_RETURN;
	case 0x0b: /* ud2, ud1, ud0 */
	case 0xb9:
	case 0xff:
		return VMT_FLOW_STOP;
	default:
		return vmt_opcode_forms_0f[opcode] == 'J' ? VMT_FLOW_BRANCH : VMT_FLOW_ON;
	}
}

size_t
vmt_instruction_length_read(const uint8_t *bytes, size_t room, struct vmt_instruction *instruction)
{
	struct reader reader = {
	    .bytes = bytes,
	    .room = room < VMT_INSTRUCTION_MAX_BYTES ? room : VMT_INSTRUCTION_MAX_BYTES,
	    .out = instruction,
	};
	uint8_t first;
	bool is_known;

	*instruction = (struct vmt_instruction){0};
	if (!read_prefixes(&reader, &first))
		return 0;
	instruction->opcode = first;
	if (begins_vector(&reader, first))
		is_known = read_vector(&reader, first);
	else if (first == 0x0f)
		is_known = read_0f(&reader);
	else
		is_known = read_operands(&reader, vmt_opcode_forms[first]);
	if (!is_known)
		return 0;
	if (instruction->map == VMT_MAP_ONE_BYTE)
		instruction->flow = flow_of_one_byte(&reader);
	else if (instruction->map == VMT_MAP_0F)
		instruction->flow = flow_of_0f(instruction->opcode);
	instruction->length = (uint8_t)reader.at;
	if (instruction->immediate_at == 0)
		instruction->immediate_at = instruction->length;
	return reader.at;
}
