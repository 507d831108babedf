#include "collect/frame_tables.h"

#include "base/pages.h"
#include "base/sys.h"
#include "collect/frame_sections.h"
#include "unwind/cfi_parse.h"
#include "unwind/cfi_rule.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

#define HEAD_BYTES 4096u /* of a file: its headers, and for the most part its notes */
#define HEADER_VERSION 1
#define TABLE_ENCODING 0x3bu /* datarel, sdata4: the one that can be searched */
#define ABSOLUTE_4 0x03u     /* udata4: as the number of pairs is written */
#define PAIR_BYTES 8u	     /* first address and FDE, relative to .eh_frame_hdr */
#define PAIRS 512u	     /* read at once */
#define RECORD_BYTES 256u    /* of most FDEs, and of every CIE */
#define LONG_RECORD_BYTES 16384u
#define SCAN_BYTES 4096u

#define NO_RULE vmt_cfi_rule_pack(VMT_CFI_FRAME_POINTER, 0, 0)

struct pair {
	int32_t start;
	int32_t fde;
};

static long
read_memory(uint32_t pid, uint64_t address, void *to, uint64_t bytes)
{
	struct iovec local = {to, bytes};
	struct iovec remote = {(void *)(uintptr_t)address, bytes};

	return vmt_sys_call6(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0);
}

/* All of the bytes, of a segment of the file. */
static bool
read_segment(const struct vmt_frame_source *source, const struct vmt_frame_segment *segment,
	     uint64_t address, void *to, uint64_t bytes)
{
	uint64_t at = address - segment->address;
	long got;

	if (at >= segment->bytes || bytes > segment->bytes - at)
		return false;
	if (source->fd >= 0)
		got = vmt_sys_pread(source->fd, to, bytes, segment->offset + at);
	else
		got = read_memory(source->pid, source->bias + address, to, bytes);
	return got == (long)bytes;
}

static bool
read_frames(const struct vmt_frame_source *source, const struct vmt_frame_tables *tables,
	    uint64_t address, void *to, uint64_t bytes)
{
	return read_segment(source, &tables->frames, address, to, bytes);
}

static struct vmt_frame_segment
segment_of(const ElfW(Phdr) * header)
{
	return (struct vmt_frame_segment){header->p_offset, header->p_filesz, header->p_vaddr};
}

/* The readable segment that holds a piece as a whole. */
static bool
find_frames(struct vmt_frame_tables *tables, const ElfW(Phdr) * headers, uint32_t count,
	    uint64_t address, uint64_t bytes)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = address - headers[i].p_vaddr;

		if (headers[i].p_type != PT_LOAD || (headers[i].p_flags & PF_R) == 0 ||
		    at >= headers[i].p_filesz || bytes > headers[i].p_filesz - at)
			continue;
		tables->frames = segment_of(&headers[i]);
		return true;
	}
	return false;
}

/* The tables themselves, which no index leads to. */
static void
find_records(const struct vmt_frame_source *source, struct vmt_frame_tables *tables,
	     const ElfW(Phdr) * headers, uint32_t count)
{
	uint64_t address, bytes;

	if (source->fd < 0 || !vmt_frame_sections_find(source->fd, &address, &bytes) ||
	    bytes > VMT_FRAME_RECORDS_MAX_BYTES ||
	    !find_frames(tables, headers, count, address, bytes))
		return;
	tables->records = address;
	tables->records_bytes = bytes;
}

static void
take_segments(struct vmt_frame_tables *tables, const ElfW(Phdr) * headers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_GNU_EH_FRAME &&
		    find_frames(tables, headers, count, headers[i].p_vaddr, headers[i].p_memsz))
			tables->header = headers[i].p_vaddr;
		else if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_X) &&
			 tables->code_count < VMT_FRAME_SEGMENTS)
			tables->code[tables->code_count++] = segment_of(&headers[i]);
	}
}

/* Bytes of a pointer that is stepped over; 0: of another length. */
static uint64_t
pointer_bytes(uint32_t encoding)
{
	switch (encoding & 0x0f) {
	case 0x00:
	case 0x04:
	case 0x0c:
		return 8;
	case 0x03:
	case 0x0b:
		return 4;
	default:
		return 0;
	}
}

/* Version, three encodings, the address of .eh_frame, the number of pairs, the pairs. */
static void
find_pairs(const struct vmt_frame_source *source, struct vmt_frame_tables *tables)
{
	unsigned char head[4];
	uint64_t skipped;
	uint32_t count;

	if (!read_frames(source, tables, tables->header, head, sizeof(head)))
		return;
	skipped = sizeof(head) + pointer_bytes(head[1]);
	if (head[0] != HEADER_VERSION || head[2] != ABSOLUTE_4 || head[3] != TABLE_ENCODING ||
	    skipped == sizeof(head) ||
	    !read_frames(source, tables, tables->header + skipped, &count, sizeof(count)))
		return;
	tables->pairs = tables->header + skipped + sizeof(count);
	if (count <= (tables->frames.bytes - (tables->pairs - tables->frames.address)) / PAIR_BYTES)
		tables->pairs_count = count;
}

/* FNV-1a, over words. */
static uint64_t
digest_of(const unsigned char *bytes, uint64_t length)
{
	uint64_t digest = UINT64_C(0xcbf29ce484222325);
	uint64_t word;

	for (uint64_t at = 0; at + sizeof(word) <= length; at += sizeof(word)) {
		memcpy(&word, bytes + at, sizeof(word));
		digest = (digest ^ word) * UINT64_C(0x100000001b3);
		digest ^= digest >> 32;
	}
	return digest;
}

/* The program headers among a file's first bytes; NULL: it is no file of this kind. */
static const ElfW(Phdr) * headers_of(const unsigned char *bytes, uint64_t length, uint32_t *count)
{
	ElfW(Ehdr) head;

	if (length < sizeof(head))
		return NULL;
	memcpy(&head, bytes, sizeof(head));
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_ident[EI_DATA] != ELFDATA2LSB || head.e_phentsize != sizeof(ElfW(Phdr)) ||
	    head.e_phoff % _Alignof(ElfW(Phdr)) != 0 || head.e_phoff > length ||
	    head.e_phnum > (length - head.e_phoff) / sizeof(ElfW(Phdr)))
		return NULL;
	*count = head.e_phnum;
	return (const void *)(bytes + head.e_phoff);
}

/* The bias of a file whose first byte is mapped at an address. */
static uint64_t
bias_of_first(const ElfW(Phdr) * headers, uint32_t count, uint64_t first)
{
	for (uint32_t i = 0; i < count; i++) {
		if (headers[i].p_type == PT_LOAD && headers[i].p_offset < vmt_page_bytes)
			return first - (headers[i].p_vaddr - headers[i].p_offset);
	}
	return first;
}

bool
vmt_frame_tables_describe(const struct vmt_frame_source *source, uint64_t first,
			  struct vmt_frame_tables *tables)
{
	_Alignas(16) unsigned char bytes[HEAD_BYTES];
	struct vmt_frame_source from = *source;
	const ElfW(Phdr) * headers;
	uint32_t count;
	long got = source->fd >= 0 ? vmt_sys_pread(source->fd, bytes, sizeof(bytes), 0)
				   : read_memory(source->pid, first, bytes, sizeof(bytes));

	*tables = (struct vmt_frame_tables){.header = 0};
	headers = got > 0 ? headers_of(bytes, (uint64_t)got, &count) : NULL;
	if (!headers)
		return false;
	tables->digest = digest_of(bytes, (uint64_t)got);
	take_segments(tables, headers, count);
	from.bias = bias_of_first(headers, count, first);
	if (tables->header != 0)
		find_pairs(&from, tables);
	else
		find_records(source, tables, headers, count);
	return true;
}

bool
vmt_frame_tables_bias(const struct vmt_frame_tables *tables, uint64_t low, uint64_t offset,
		      uint64_t *bias)
{
	for (uint32_t i = 0; i < tables->code_count; i++) {
		const struct vmt_frame_segment *code = &tables->code[i];
		uint64_t begin = code->offset & ~(vmt_page_bytes - 1);

		if (offset < begin || offset - begin >= code->bytes + (code->offset - begin))
			continue;
		*bias = low - offset - (code->address - code->offset);
		return true;
	}
	return false;
}

/* The FDE whose range begins last at or before the address; *fde 0: none. False: unreadable. */
static bool
search(const struct vmt_frame_source *source, const struct vmt_frame_tables *tables,
       uint64_t address, uint64_t *fde)
{
	struct pair pairs[PAIRS];
	uint64_t first = 0;
	uint64_t count = tables->pairs_count;

	*fde = 0;
	while (count > 0) {
		uint64_t most = count > PAIRS ? 1 : count;
		uint64_t from = count > PAIRS ? first + count / 2 : first;
		uint64_t before = 0;

		if (!read_frames(source, tables, tables->pairs + from * PAIR_BYTES, pairs,
				 most * PAIR_BYTES))
			return false;
		while (before < most &&
		       tables->header + (uint64_t)(int64_t)pairs[before].start <= address)
			before++;
		if (before > 0)
			*fde = tables->header + (uint64_t)(int64_t)pairs[before - 1].fde;
		if (most == count)
			return true;
		if (before == 0) {
			count /= 2;
		} else {
			count -= from + 1 - first;
			first = from + 1;
		}
	}
	return true;
}

/* What the beginning of a record says; only a FDE with relative addresses of 4 bytes is one of
 * code. */
struct record {
	uint32_t length;
	uint32_t id; /* 0: a CIE */
	int32_t start;
	uint32_t bytes;
};

static bool
covers(const struct record *record, uint64_t at, uint64_t address)
{
	uint64_t start = at + offsetof(struct record, start) + (uint64_t)(int64_t)record->start;

	return record->id != 0 && address - start < record->bytes;
}

/* The first FDE whose range has the address; *fde 0: none. False: unreadable. */
static bool
scan(const struct vmt_frame_source *source, const struct vmt_frame_tables *tables, uint64_t address,
     uint64_t *fde)
{
	unsigned char bytes[SCAN_BYTES];
	uint64_t end = tables->records + tables->records_bytes;
	uint64_t from = 0, until = 0; /* of what was read */
	struct record record;

	*fde = 0;
	for (uint64_t at = tables->records; end - at >= sizeof(record);) {
		if (at + sizeof(record) > until) {
			from = at;
			until = end - at < SCAN_BYTES ? end : at + SCAN_BYTES;
			if (!read_frames(source, tables, from, bytes, until - from))
				return false;
		}
		memcpy(&record, bytes + (at - from), sizeof(record));
		if (covers(&record, at, address))
			*fde = at;
		if (*fde != 0 || record.length < sizeof(record) - sizeof(record.length) ||
		    record.length > end - at - sizeof(record.length))
			return true;
		at += sizeof(record.length) + record.length;
	}
	return true;
}

/* A record with its length, or as much of it as there is room for. Returns the bytes read; 0: it
 * can't be read. */
static uint64_t
read_record(const struct vmt_frame_source *source, const struct vmt_frame_tables *tables,
	    uint64_t address, unsigned char *to, uint64_t room)
{
	uint64_t at = address - tables->frames.address;
	uint64_t left = at < tables->frames.bytes ? tables->frames.bytes - at : 0;
	uint64_t bytes = left < RECORD_BYTES ? left : RECORD_BYTES;
	uint32_t length;

	if (bytes < 2 * sizeof(length) || !read_frames(source, tables, address, to, bytes))
		return 0;
	memcpy(&length, to, sizeof(length));
	if (length <= bytes - sizeof(length) || length > room - sizeof(length) ||
	    length > left - sizeof(length))
		return bytes;
	return read_frames(source, tables, address, to, length + sizeof(length))
		   ? length + sizeof(length)
		   : 0;
}

static struct vmt_cfi_cursor
cursor_of(const unsigned char *bytes, uint64_t length)
{
	return (struct vmt_cfi_cursor){bytes, bytes + length, false};
}

bool
vmt_frame_tables_find(const struct vmt_frame_source *source, const struct vmt_frame_tables *tables,
		      uint64_t address, uint32_t *rule)
{
	_Alignas(16) unsigned char bytes[16 + LONG_RECORD_BYTES];
	unsigned char cie[RECORD_BYTES];
	unsigned char *record;
	uint64_t record_bytes;
	uint64_t cie_bytes;
	uint32_t distance;
	uint64_t fde;

	*rule = NO_RULE;
	if (tables->records_bytes != 0 ? !scan(source, tables, address, &fde)
				       : !search(source, tables, address, &fde))
		return false;
	if (fde == 0)
		return true;
	record = bytes + (fde & 15); /* as expressions look at an address's low bits */
	record_bytes = read_record(source, tables, fde, record, LONG_RECORD_BYTES);
	if (record_bytes == 0)
		return true;
	memcpy(&distance, record + 4, sizeof(distance));
	cie_bytes = read_record(source, tables, fde + 4 - distance, cie, sizeof(cie));
	*rule = vmt_cfi_parse_records(cursor_of(record, record_bytes), cursor_of(cie, cie_bytes),
				      address - fde + (uint64_t)record);
	return true;
}

bool
vmt_frame_tables_is_goexit(const struct vmt_frame_source *source,
			   const struct vmt_frame_tables *tables, uint64_t address)
{
	unsigned char code[7]; /* nop, call of goexit1, nop */

	if (address % 16 != 0)
		return false;
	for (uint32_t i = 0; i < tables->code_count; i++) {
		if (read_segment(source, &tables->code[i], address, code, sizeof(code)))
			return code[0] == 0x90 && code[1] == 0xe8 && code[6] == 0x90;
	}
	return false;
}
