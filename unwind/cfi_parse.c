#include "unwind/cfi_parse.h"

#include "base/assert.h"
#include "unwind/cfi_program.h"
#include "unwind/cfi_rule.h"

#define HEADER_VERSION 1
#define TABLE_RELATIVE 0x3bu /* datarel, sdata4: as linkers write it */
#define TABLE_ABSOLUTE 0x0bu /* sdata4: as inject/frame_index.h does where the code is low */
#define ENTRY_BYTES 8u	     /* a pair of them: first address, FDE */

struct entry {
	struct vmt_cfi_program program;
	struct vmt_cfi_cursor code;
	bool augmented; /* 'z': the FDE has a length of augmentation data */
	bool is_signal;
};

static uint64_t
table_word(uint64_t base, uint64_t table, uint64_t index)
{
	int32_t word;

	memcpy(&word, (const void *)(table + index * 4), sizeof(word));
	return base + (uint64_t)(int64_t)word;
}

/* Address of the FDE whose range begins last at or before the address; 0: none. */
static uint64_t
search(const struct vmt_loaded_module *module, uint64_t address)
{
	uint64_t end = module->eh_frame_hdr + module->eh_frame_hdr_bytes;
	struct vmt_cfi_cursor header = vmt_cfi_cursor_of(module->eh_frame_hdr, end);
	uint64_t word = vmt_cfi_cursor_take(&header, 4);
	uint64_t base = word >> 24 == TABLE_RELATIVE ? module->eh_frame_hdr : 0;
	uint64_t first = 0;
	uint64_t count;
	uint64_t table;

	if ((word & 0xff) != HEADER_VERSION ||
	    (word >> 24 != TABLE_RELATIVE && word >> 24 != TABLE_ABSOLUTE) ||
	    (word >> 16 & 0xff) == VMT_CFI_PE_OMIT)
		return 0;
	vmt_cfi_cursor_take_pointer(&header, word >> 8 & 0xff, module->eh_frame_hdr);
	count = vmt_cfi_cursor_take_pointer(&header, word >> 16 & 0xff, module->eh_frame_hdr);
	table = (uint64_t)header.at;
	if (header.failed || count > (end - table) / ENTRY_BYTES)
		return 0;
	while (count > 0) {
		uint64_t half = count / 2;

		vmt_assert(table + 4 * (2 * (first + half) + 2) <= end);
		if (table_word(base, table, 2 * (first + half)) <= address) {
			first += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return first == 0 ? 0 : table_word(base, table, 2 * first - 1);
}

/* A record (CIE or FDE) that starts where the bytes do: a cursor behind its length. */
static struct vmt_cfi_cursor
open_record(struct vmt_cfi_cursor bytes)
{
	struct vmt_cfi_cursor record = bytes;
	uint64_t length = vmt_cfi_cursor_take(&record, 4);

	if (record.failed || length == 0 || length > (uint64_t)(record.end - record.at))
		record.failed = true;
	else
		record.end = record.at + length;
	vmt_assert(record.failed || record.end <= bytes.end);
	return record;
}

/* Augmentation data, one letter of the string after the other. */
static void
read_augmentation(struct vmt_cfi_cursor *record, const unsigned char *letters, struct entry *entry)
{
	uint64_t bytes = vmt_cfi_cursor_take_uleb(record);
	struct vmt_cfi_cursor data = *record;
	uint8_t encoding;

	vmt_cfi_cursor_skip(record, bytes);
	for (letters++; *letters != '\0' && !data.failed; letters++) {
		switch (*letters) {
		case 'R':
			entry->program.pointer_encoding = (uint8_t)vmt_cfi_cursor_take(&data, 1);
			break;
		case 'L':
			vmt_cfi_cursor_take(&data, 1);
			break;
		case 'P':
			encoding = (uint8_t)vmt_cfi_cursor_take(&data, 1);
			vmt_cfi_cursor_take_value(&data, encoding & 0x0f);
			break;
		case 'S':
			entry->is_signal = true;
			break;
		case 'B':
			break;
		default:
			record->failed = true;
			return;
		}
	}
	record->failed |= data.failed;
}

static bool
read_cie(struct vmt_cfi_cursor bytes, struct entry *entry)
{
	struct vmt_cfi_program *program = &entry->program;
	struct vmt_cfi_cursor record = open_record(bytes);
	uint64_t id = vmt_cfi_cursor_take(&record, 4);
	uint64_t version = vmt_cfi_cursor_take(&record, 1);
	const unsigned char *letters = record.at;

	if (id != 0 || (version != 1 && version != 3))
		return false;
	while (vmt_cfi_cursor_take(&record, 1) != 0)
		;
	program->code_align = vmt_cfi_cursor_take_uleb(&record);
	program->data_align = vmt_cfi_cursor_take_sleb(&record);
	program->ra_register =
	    version == 1 ? vmt_cfi_cursor_take(&record, 1) : vmt_cfi_cursor_take_uleb(&record);
	if (record.failed)
		return false;
	entry->augmented = letters[0] == 'z';
	if (entry->augmented)
		read_augmentation(&record, letters, entry);
	else if (letters[0] != '\0')
		return false;
	program->row.rbp.saved = VMT_CFI_SAVED_SAME;
	return vmt_cfi_program_run(program, &record);
}

static bool
read_fde(struct vmt_cfi_cursor fde, struct vmt_cfi_cursor cie, struct entry *entry)
{
	struct vmt_cfi_program *program = &entry->program;
	struct vmt_cfi_cursor record = open_record(fde);
	uint64_t distance = vmt_cfi_cursor_take(&record, 4);
	uint64_t address = program->address;
	uint64_t bytes;

	if (record.failed || distance == 0)
		return false;
	program->address = UINT64_MAX - 1; /* the CIE's program has no locations */
	if (!read_cie(cie, entry))
		return false;
	program->address = address;
	program->location = vmt_cfi_cursor_take_pointer(&record, program->pointer_encoding, 0);
	bytes = vmt_cfi_cursor_take_value(&record, program->pointer_encoding & 0x0f);
	if (record.failed || address < program->location || address - program->location >= bytes)
		return false;
	if (entry->augmented)
		vmt_cfi_cursor_skip(&record, vmt_cfi_cursor_take_uleb(&record));
	program->initial = program->row;
	return vmt_cfi_program_run(program, &record);
}

static uint32_t
pack_rbp(const struct vmt_cfi_register *rbp)
{
	uint64_t words = (uint64_t)-rbp->offset / 8;

	if (rbp->saved == VMT_CFI_SAVED_SAME)
		return 0;
	if (rbp->saved != VMT_CFI_SAVED_CFA || rbp->offset >= 0 || rbp->offset % 8 != 0 ||
	    words >= VMT_CFI_RBP_LOST)
		return VMT_CFI_RBP_LOST;
	vmt_assert(words != 0 && words < VMT_CFI_RBP_LOST);
	return (uint32_t)words;
}

static uint32_t
pack(const struct vmt_cfi_row *row)
{
	static const enum vmt_cfi_rule_kind kinds[] = {
	    [VMT_CFI_CFA_ODD] = VMT_CFI_FRAME_POINTER,
	    [VMT_CFI_CFA_RSP] = VMT_CFI_STACK,
	    [VMT_CFI_CFA_RBP] = VMT_CFI_FRAME,
	    [VMT_CFI_CFA_LOAD] = VMT_CFI_LOAD,
	};
	uint32_t odd = vmt_cfi_rule_pack(VMT_CFI_FRAME_POINTER, 0, 0);
	bool load = row->cfa == VMT_CFI_CFA_LOAD;
	int64_t offset = load ? -row->cfa_offset : row->cfa_offset;

	if (row->ra.saved == VMT_CFI_SAVED_UNDEFINED)
		return vmt_cfi_rule_pack(VMT_CFI_END, 0, 0);
	if (row->cfa == VMT_CFI_CFA_ODD || row->ra.saved != VMT_CFI_SAVED_CFA ||
	    row->ra.offset != -8)
		return odd;
	if (offset < 8 || offset % 8 != 0 || offset / 8 > (int64_t)VMT_CFI_CFA_WORDS_MAX)
		return odd;
	if (load && (row->rbp.saved != VMT_CFI_SAVED_RBP || row->rbp.offset != 0))
		return odd;
	return vmt_cfi_rule_pack(kinds[row->cfa], (uint32_t)(offset / 8),
				 load ? 0 : pack_rbp(&row->rbp));
}

uint32_t
vmt_cfi_parse_records(struct vmt_cfi_cursor fde, struct vmt_cfi_cursor cie, uint64_t address)
{
	struct entry entry = {.program = {.address = address}};

	if (!read_fde(fde, cie, &entry))
		return vmt_cfi_rule_pack(VMT_CFI_FRAME_POINTER, 0, 0);
	if (entry.is_signal)
		return vmt_cfi_rule_pack(VMT_CFI_SIGNAL, 0, 0);
	return pack(&entry.program.row);
}

/* From an address to the end of the segment with the module's tables; nothing where it lies outside
 * of that. */
static struct vmt_cfi_cursor
frames_from(const struct vmt_loaded_module *module, uint64_t start)
{
	bool inside = start >= module->frames_low && start < module->frames_high;

	return vmt_cfi_cursor_of(start, inside ? module->frames_high : start);
}

uint32_t
vmt_cfi_parse(const struct vmt_loaded_module *module, uint64_t address)
{
	uint64_t start = module->eh_frame_hdr == 0 ? 0 : search(module, address);
	struct vmt_cfi_cursor fde;
	struct vmt_cfi_cursor at;
	uint64_t id_at;

	if (start == 0)
		return vmt_cfi_rule_pack(VMT_CFI_FRAME_POINTER, 0, 0);
	fde = frames_from(module, start);
	at = open_record(fde);
	id_at = (uint64_t)at.at;
	return vmt_cfi_parse_records(fde, frames_from(module, id_at - vmt_cfi_cursor_take(&at, 4)),
				     address);
}
