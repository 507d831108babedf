#include "capture/go/go_functions.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#define MAGIC_1_18 UINT32_C(0xfffffff0)
#define MAGIC_1_20 UINT32_C(0xfffffff1)

/* runtime.pcHeader of Go 1.18 to 1.26. */
struct pc_header {
	uint32_t magic;
	uint8_t pad[2];
	uint8_t instruction_bytes;
	uint8_t pointer_bytes;
	uint64_t functions;
	uint64_t files;
	uint64_t text_start; /* 0 from Go 1.26 on */
	uint64_t names_offset;
	uint64_t units_offset;
	uint64_t files_offset;
	uint64_t tables_offset;
	uint64_t functions_offset;
};

struct function_entry {
	uint32_t code; /* from the start of the text */
	uint32_t record;
};

/* Start of runtime._func. */
struct function_record {
	uint32_t code;
	int32_t name;
};

/* Of runtime.moduledata, Go 1.18 to 1.26. */
#define MODULE_TEXT_OFFSET 176u

struct table {
	const unsigned char *bytes;
	uint64_t room; /* from the header to the end of its section */
	uint64_t address;
	struct pc_header header;
};

static bool
is_header(const struct pc_header *header, uint64_t room)
{
	return (header->magic == MAGIC_1_18 || header->magic == MAGIC_1_20) &&
	       header->pad[0] == 0 && header->pad[1] == 0 && header->instruction_bytes == 1 &&
	       header->pointer_bytes == 8 && header->names_offset < room &&
	       header->functions_offset < room && header->names_offset < header->functions_offset &&
	       header->functions <
		   (room - header->functions_offset) / sizeof(struct function_entry);
}

/* Position-independent programs before Go 1.26 have the table somewhere in .data.rel.ro. */
static bool
find_in_section(const struct vmt_go_file *file, const Elf64_Shdr *section, struct table *table)
{
	const unsigned char *bytes = vmt_go_image_at(file, section->sh_offset, section->sh_size);

	for (uint64_t at = 0; bytes && at + sizeof(table->header) <= section->sh_size; at += 8) {
		memcpy(&table->header, bytes + at, sizeof(table->header));
		if (!is_header(&table->header, section->sh_size - at))
			continue;
		table->bytes = bytes + at;
		table->room = section->sh_size - at;
		table->address = section->sh_addr + at;
		return true;
	}
	return false;
}

static bool
find_table(const struct vmt_go_file *file, struct table *table)
{
	const Elf64_Ehdr *header = vmt_go_image_at(file, 0, sizeof(*header));
	const Elf64_Shdr *sections =
	    header ? vmt_go_image_at(file, header->e_shoff, header->e_shnum * sizeof(*sections))
		   : NULL;

	for (unsigned i = 0; sections && i < header->e_shnum; i++) {
		if (sections[i].sh_type == SHT_PROGBITS && (sections[i].sh_flags & SHF_ALLOC) &&
		    !(sections[i].sh_flags & SHF_EXECINSTR) &&
		    find_in_section(file, &sections[i], table))
			return true;
	}
	return false;
}

/* The module data begins with the address of the table. It has a section of its own since the
 * table stopped naming the text. */
static uint64_t
text_by_module(const struct vmt_go_file *file, const struct table *table)
{
	const Elf64_Ehdr *header = vmt_go_image_at(file, 0, sizeof(*header));
	const Elf64_Shdr *sections =
	    header ? vmt_go_image_at(file, header->e_shoff, header->e_shnum * sizeof(*sections))
		   : NULL;

	for (unsigned i = 0; sections && i < header->e_shnum; i++) {
		uint64_t address = sections[i].sh_addr;

		if (sections[i].sh_type == SHT_PROGBITS && (sections[i].sh_flags & SHF_WRITE) &&
		    sections[i].sh_size < 65536 && sections[i].sh_size > MODULE_TEXT_OFFSET + 8 &&
		    vmt_go_image_word(file, address) == table->address)
			return vmt_go_image_word(file, address + MODULE_TEXT_OFFSET);
	}
	return 0;
}

struct function {
	struct vmt_go_name name;
	uint32_t start; /* from the start of the text */
	uint32_t bytes;
};

static bool
read_function(const struct table *table, uint64_t index, struct function *function)
{
	const unsigned char *entries = table->bytes + table->header.functions_offset;
	uint64_t entries_room = table->room - table->header.functions_offset;
	uint64_t names_room = table->room - table->header.names_offset;
	const char *names = (const char *)table->bytes + table->header.names_offset;
	struct function_entry entry[2];
	struct function_record record;

	memcpy(entry, entries + index * sizeof(entry[0]), sizeof(entry));
	if (entry[0].record > entries_room || entries_room - entry[0].record < sizeof(record) ||
	    entry[1].code < entry[0].code)
		return false;
	memcpy(&record, entries + entry[0].record, sizeof(record));
	if (record.name < 0 || (uint64_t)record.name >= names_room)
		return false;
	function->name =
	    (struct vmt_go_name){names + record.name, names_room - (uint64_t)record.name};
	function->start = entry[0].code;
	function->bytes = entry[1].code - entry[0].code;
	return true;
}

/* The array ends with the end of the text. */
static uint32_t
text_bytes(const struct table *table)
{
	uint32_t bytes;

	memcpy(&bytes,
	       table->bytes + table->header.functions_offset +
		   table->header.functions * sizeof(struct function_entry),
	       sizeof(bytes));
	return bytes;
}

/* NULL, or why not. */
static const char *
open_table(const struct vmt_go_file *file, struct table *table, uint64_t *text)
{
	if (!find_table(file, table))
		return "no function table of Go 1.18 or later";
	*text = vmt_go_image_word(file, table->address + offsetof(struct pc_header, text_start));
	if (*text == 0)
		*text = text_by_module(file, table);
	return *text != 0 ? NULL : "the function table does not say where the text is";
}

static const char *
read_table(struct vmt_go_image *image, const struct vmt_go_file *file)
{
	struct table table;
	uint64_t text;
	const char *why = open_table(file, &table, &text);

	if (why)
		return why;
	for (uint64_t i = 0; i < table.header.functions; i++) {
		struct function function;

		if (read_function(&table, i, &function))
			vmt_go_image_take(image, file, &function.name, text + function.start,
					  function.bytes);
	}
	image->text_low = text;
	image->text_high = text + text_bytes(&table);
	return NULL;
}

const char *
vmt_go_functions_read(struct vmt_go_image *image, const struct vmt_go_file *file)
{
	const char *why = vmt_go_image_read_symbols(image, file);

	if (!why && image->stripped)
		why = read_table(image, file);
	if (!why && image->code[VMT_GO_CALLBACK][0].address != 0)
		image->cgo = true;
	if (why || image->text_high < image->text_low)
		image->text_low = image->text_high = 0;
	return why;
}

void
vmt_go_functions_tell(struct vmt_go_code_roles *roles, const struct vmt_go_file *file)
{
	struct table table;
	uint64_t text;

	memset(roles, 0, sizeof(*roles));
	if (open_table(file, &table, &text))
		return;
	roles->text = text;
	roles->bytes = text_bytes(&table);
	for (uint64_t i = 0; i < table.header.functions; i++) {
		struct function function;

		if (read_function(&table, i, &function) && function.bytes != 0 &&
		    !vmt_go_roles_add(roles, function.start,
				      vmt_go_roles_of_name(function.name.text, function.name.room)))
			return;
	}
}
