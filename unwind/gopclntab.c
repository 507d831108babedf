#include "unwind/gopclntab.h"

#include "base/assert.h"
#include "base/text.h"

#include <string.h>

/* The indexes that the compiler and the runtime agree on (internal/abi/symtab.go). */
#define PCDATA_INLINE_INDEX 2u
#define FUNCDATA_INLINE_TREE 3u
#define NO_FUNCDATA UINT32_MAX
#define MAX_INLINED 64u

#define MAGIC_1_2 UINT32_C(0xfffffffb)
#define MAGIC_1_16 UINT32_C(0xfffffffa)
#define MAGIC_1_18 UINT32_C(0xfffffff0)
#define MAGIC_1_20 UINT32_C(0xfffffff1)

/* A function's record, with the numbers in it that matter here. */
struct record {
	struct vmt_gopclntab_part tail; /* offsets of pcdata, then of funcdata */
	uint64_t start;
	uint64_t end;
	uint32_t name;
	uint32_t file_values;
	uint32_t line_values;
	uint32_t pcdata;
	uint32_t unit;
	uint32_t funcdata;
};

/* 4 bytes at offset, if they are there. */
static bool
read_u32(const struct vmt_gopclntab_part *part, uint64_t offset, uint32_t *value)
{
	if (part->length < sizeof(*value) || offset > part->length - sizeof(*value))
		return false;
	memcpy(value, part->bytes + offset, sizeof(*value));
	return true;
}

/* A little-endian word of 4 or 8 bytes. */
static bool
read_word(const struct vmt_gopclntab_part *part, uint64_t offset, uint8_t bytes, uint64_t *value)
{
	if (part->length < bytes || offset > part->length - bytes)
		return false;
	*value = 0;
	memcpy(value, part->bytes + offset, bytes);
	return true;
}

/* A NUL-terminated string, or NULL. */
static const char *
read_string(const struct vmt_gopclntab_part *part, uint64_t offset)
{
	const char *string = (const char *)part->bytes + offset;

	if (offset >= part->length || !vmt_text_find_byte(string, part->length - offset, '\0'))
		return NULL;
	return string;
}

/* The part from offset to the end. */
static bool
cut(const struct vmt_gopclntab_part *whole, uint64_t offset, struct vmt_gopclntab_part *part)
{
	if (offset > whole->length)
		return false;
	*part = (struct vmt_gopclntab_part){whole->bytes + offset, whole->length - offset};
	return true;
}

enum vmt_gopclntab_version
vmt_gopclntab_version(const unsigned char *bytes, size_t length)
{
	uint32_t magic;

	if (length < 8 || bytes[4] || bytes[5] ||
	    (bytes[6] != 1 && bytes[6] != 2 && bytes[6] != 4) || (bytes[7] != 4 && bytes[7] != 8))
		return VMT_GOPCLNTAB_NONE;
	memcpy(&magic, bytes, sizeof(magic));
	switch (magic) {
	case MAGIC_1_2:
		return VMT_GOPCLNTAB_1_2;
	case MAGIC_1_16:
		return VMT_GOPCLNTAB_1_16;
	case MAGIC_1_18:
		return VMT_GOPCLNTAB_1_18;
	case MAGIC_1_20:
		return VMT_GOPCLNTAB_1_20;
	default:
		return VMT_GOPCLNTAB_NONE;
	}
}

/* Go 1.2: the index follows the header, then the offset of the list of files. */
static bool
open_first(struct vmt_gopclntab *table)
{
	uint8_t pointer = table->pointer_bytes;
	uint64_t entries;
	uint32_t files;

	if (!read_word(&table->whole, 8, pointer, &table->functions) ||
	    !cut(&table->whole, 8 + (uint64_t)pointer, &table->index) ||
	    table->functions > table->index.length / ((size_t)2 * pointer))
		return false;
	entries = table->functions * 2 * pointer + pointer;
	table->records = table->names = table->values = table->whole;
	return read_u32(&table->index, entries, &files) && cut(&table->whole, files, &table->files);
}

/* Go 1.16 and newer: the header has the offsets of all parts. */
static bool
open_parts(struct vmt_gopclntab *table)
{
	struct vmt_gopclntab_part *const parts[] = {&table->names, &table->units, &table->files,
						    &table->values, &table->records};
	uint8_t pointer = table->pointer_bytes;
	unsigned word = 2;
	uint64_t text = 0;

	if (!read_word(&table->whole, 8, pointer, &table->functions))
		return false;
	if (table->version >= VMT_GOPCLNTAB_1_18 &&
	    !read_word(&table->whole, 8 + (uint64_t)word++ * pointer, pointer, &text))
		return false;
	if (!table->text)
		table->text = text;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		uint64_t offset;

		if (!read_word(&table->whole, 8 + (uint64_t)word++ * pointer, pointer, &offset) ||
		    !cut(&table->whole, offset, parts[i]))
			return false;
	}
	table->index = table->records;
	return true;
}

static uint8_t
entry_bytes(const struct vmt_gopclntab *table)
{
	return table->version >= VMT_GOPCLNTAB_1_18 ? 4 : table->pointer_bytes;
}

/* Where function i begins; where the last one ends for i = functions. */
static bool
read_entry(const struct vmt_gopclntab *table, uint64_t i, uint64_t *address)
{
	uint8_t bytes = entry_bytes(table);

	if (!read_word(&table->index, i * 2 * bytes, bytes, address))
		return false;
	if (table->version >= VMT_GOPCLNTAB_1_18)
		*address += table->text;
	return true;
}

bool
vmt_gopclntab_open(struct vmt_gopclntab *table, const unsigned char *bytes, size_t length,
		   uint64_t text)
{
	uint64_t first;
	uint64_t last;

	*table = (struct vmt_gopclntab){.version = vmt_gopclntab_version(bytes, length),
					.text = text,
					.whole = {bytes, length}};
	if (table->version == VMT_GOPCLNTAB_NONE)
		return false;
	table->quantum = bytes[6];
	table->pointer_bytes = bytes[7];
	if (table->version == VMT_GOPCLNTAB_1_2 ? !open_first(table) : !open_parts(table))
		return false;
	return table->functions > 0 &&
	       table->functions < table->index.length / ((size_t)2 * entry_bytes(table)) &&
	       read_entry(table, 0, &first) && read_entry(table, table->functions, &last) &&
	       first < last;
}

uint64_t
vmt_gopclntab_end(const struct vmt_gopclntab *table)
{
	uint64_t end = 0;

	(void)read_entry(table, table->functions, &end);
	return end;
}

/* What follows the entry address in the record of function i. */
static bool
find_words(const struct vmt_gopclntab *table, uint64_t i, struct vmt_gopclntab_part *words)
{
	uint8_t bytes = entry_bytes(table);
	uint64_t offset;

	return read_word(&table->index, (i * 2 + 1) * bytes, bytes, &offset) &&
	       offset <= table->records.length && cut(&table->records, offset + bytes, words);
}

/* The words of function `index` since Go 1.18: its start, the offset of its record, its end. That
 * index was looked at as a whole when the table was opened. */
static bool
read_short_words(const struct vmt_gopclntab *table, uint64_t index, uint32_t words[3])
{
	if (index >= table->functions)
		return false;
	memcpy(words, table->index.bytes + index * 8, 12);
	return words[1] <= table->records.length && table->records.length - words[1] >= 8;
}

static bool
read_words(const struct vmt_gopclntab *table, uint64_t index, struct vmt_gopclntab_entry *entry,
	   uint32_t *name)
{
	struct vmt_gopclntab_part record;
	uint32_t words[3];

	if (table->version < VMT_GOPCLNTAB_1_18)
		return read_entry(table, index, &entry->start) &&
		       read_entry(table, index + 1, &entry->end) &&
		       find_words(table, index, &record) && read_u32(&record, 0, name);
	if (!read_short_words(table, index, words))
		return false;
	entry->start = table->text + words[0];
	entry->end = table->text + words[2];
	memcpy(name, table->records.bytes + words[1] + 4, sizeof(*name));
	return true;
}

bool
vmt_gopclntab_entry(const struct vmt_gopclntab *table, uint64_t index,
		    struct vmt_gopclntab_entry *entry)
{
	uint32_t name;

	if (!read_words(table, index, entry, &name) || entry->end < entry->start ||
	    name >= table->names.length)
		return false;
	entry->name = (const char *)table->names.bytes + name;
	entry->room = table->names.length - name;
	return true;
}

/* The fixed part of a record: entry, then words of 4 bytes each. */
static bool
read_record(const struct vmt_gopclntab *table, uint64_t i, struct record *record)
{
	bool has_unit = table->version >= VMT_GOPCLNTAB_1_16;
	bool has_start_line = table->version >= VMT_GOPCLNTAB_1_20;
	uint64_t counts = 28 + (has_unit ? 4 : 0) + (has_start_line ? 4 : 0);
	struct vmt_gopclntab_part words;
	uint32_t flags;

	*record = (struct record){0};
	if (!read_entry(table, i, &record->start) || !read_entry(table, i + 1, &record->end) ||
	    !find_words(table, i, &words) || !read_u32(&words, 0, &record->name) ||
	    !read_u32(&words, 16, &record->file_values) ||
	    !read_u32(&words, 20, &record->line_values) || !read_u32(&words, 24, &record->pcdata) ||
	    (has_unit && !read_u32(&words, 28, &record->unit)) ||
	    !read_u32(&words, counts, &flags) || !cut(&words, counts + 4, &record->tail))
		return false;
	record->funcdata = flags >> 24;
	return true;
}

/* The last function that begins at or before the address. */
static bool
find_record(const struct vmt_gopclntab *table, uint64_t address, struct record *record)
{
	uint64_t low = 0;
	uint64_t high = table->functions;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t start;

		if (!read_entry(table, middle, &start))
			return false;
		if (start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && read_record(table, low - 1, record) && record->start <= address &&
	       address < record->end;
}

static bool
read_varint(const struct vmt_gopclntab_part *part, uint64_t *at, uint32_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 35 && *at < part->length; shift += 7) {
		unsigned char byte = part->bytes[(*at)++];

		*value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* The number at an address, out of a table of steps (value, zigzag; then code bytes); -1 where
 * there is none. Offset 0 is "no table". */
static int32_t
read_value(const struct vmt_gopclntab *table, const struct record *record, uint32_t offset,
	   uint64_t address)
{
	uint64_t pc = record->start;
	uint64_t at = offset;
	uint32_t value = UINT32_MAX;
	uint32_t step;
	uint32_t code;

	while (offset && read_varint(&table->values, &at, &step)) {
		if (step == 0 && pc != record->start)
			break;
		value += (step >> 1) ^ -(step & 1);
		if (!read_varint(&table->values, &at, &code))
			break;
		pc += (uint64_t)code * table->quantum;
		if (address < pc)
			return (int32_t)value;
	}
	return -1;
}

static const char *
find_file(const struct vmt_gopclntab *table, const struct record *record, int32_t number)
{
	uint32_t offset;

	if (number < 0)
		return NULL;
	if (table->version == VMT_GOPCLNTAB_1_2)
		return number > 0 && read_u32(&table->files, (uint64_t)number * 4, &offset)
			   ? read_string(&table->whole, offset)
			   : NULL;
	if (!read_u32(&table->units, ((uint64_t)record->unit + (uint32_t)number) * 4, &offset) ||
	    offset == UINT32_MAX)
		return NULL;
	return read_string(&table->files, offset);
}

static void
place(const struct vmt_gopclntab *table, const struct record *record, uint64_t address,
      struct vmt_gopclntab_frame *frame)
{
	int32_t line = read_value(table, record, record->line_values, address);

	frame->file =
	    find_file(table, record, read_value(table, record, record->file_values, address));
	frame->line = line > 0 ? (uint32_t)line : 0;
}

/* A call that was inlined into a function. */
struct inlined {
	const char *name;
	uint64_t call; /* an address whose line is the call's */
};

/* The innermost inlined call at an address. */
static bool
find_inlined(const struct vmt_gopclntab *table, const struct record *record, uint64_t address,
	     struct inlined *inlined)
{
	bool is_old = table->version == VMT_GOPCLNTAB_1_18;
	struct vmt_gopclntab_part call;
	uint64_t funcdata = ((uint64_t)record->pcdata + FUNCDATA_INLINE_TREE) * 4;
	uint32_t values;
	uint32_t tree;
	uint32_t name;
	uint32_t pc;
	int32_t index;

	if (!table->inlines.length || record->pcdata <= PCDATA_INLINE_INDEX ||
	    record->funcdata <= FUNCDATA_INLINE_TREE ||
	    !read_u32(&record->tail, (uint64_t)PCDATA_INLINE_INDEX * 4, &values) ||
	    !read_u32(&record->tail, funcdata, &tree) || tree == NO_FUNCDATA)
		return false;
	index = read_value(table, record, values, address);
	if (index < 0 ||
	    !cut(&table->inlines, tree + (uint64_t)(uint32_t)index * (is_old ? 20 : 16), &call) ||
	    !read_u32(&call, is_old ? 12 : 4, &name) || !read_u32(&call, is_old ? 16 : 8, &pc))
		return false;
	inlined->name = read_string(&table->names, name);
	inlined->call = record->start + pc;
	return inlined->name && inlined->call < record->end;
}

size_t
vmt_gopclntab_find(const struct vmt_gopclntab *table, uint64_t address,
		   struct vmt_gopclntab_frame *frames, size_t room)
{
	struct record record;
	size_t count = 0;

	vmt_assert(room > 0);
	if (!find_record(table, address, &record))
		return 0;
	while (count < room && count < MAX_INLINED) {
		struct vmt_gopclntab_frame *frame = &frames[count++];
		struct inlined inlined;

		*frame = (struct vmt_gopclntab_frame){0};
		place(table, &record, address, frame);
		if (!find_inlined(table, &record, address, &inlined)) {
			frame->function = read_string(&table->names, record.name);
			break;
		}
		frame->function = inlined.name;
		frame->inlined = true;
		address = inlined.call;
	}
	return count;
}

/* bytes: of `name`, with its NUL. Only as many are looked at, whatever stands in the table. */
static bool
is_named(const struct vmt_gopclntab_part *names, uint64_t offset, const char *name, size_t bytes)
{
	return offset < names->length && names->length - offset >= bytes &&
	       memcmp(names->bytes + offset, name, bytes) == 0;
}

static bool
describe(const struct vmt_gopclntab *table, const struct record *record,
	 struct vmt_gopclntab_function *function)
{
	*function = (struct vmt_gopclntab_function){
	    .name = read_string(&table->names, record->name),
	    .start = record->start,
	    .end = record->end,
	};
	return function->name != NULL && function->start < function->end;
}

bool
vmt_gopclntab_covering(const struct vmt_gopclntab *table, uint64_t address,
		       struct vmt_gopclntab_function *function)
{
	struct record record;

	return find_record(table, address, &record) && describe(table, &record, function);
}

bool
vmt_gopclntab_named(const struct vmt_gopclntab *table, const char *name, uint64_t *cursor,
		    struct vmt_gopclntab_function *function)
{
	const size_t bytes = vmt_text_string_bytes(name) + 1;

	while (*cursor < table->functions) {
		struct record record;

		if (read_record(table, (*cursor)++, &record) &&
		    is_named(&table->names, record.name, name, bytes) &&
		    describe(table, &record, function))
			return true;
	}
	return false;
}
