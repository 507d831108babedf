#include "unwind/go_functions.h"

#include "unwind/go_objects.h"
#include "unwind/gopclntab.h"

#include <elf.h>
#include <string.h>

struct table {
	uint64_t address;
	struct vmt_gopclntab functions;
};

static bool
is_table(const unsigned char *bytes, uint64_t length, struct vmt_gopclntab *table)
{
	return vmt_gopclntab_version(bytes, length) >= VMT_GOPCLNTAB_1_18 &&
	       vmt_gopclntab_open(table, bytes, length, 0) && table->quantum == 1 &&
	       table->pointer_bytes == sizeof(uint64_t);
}

/* At the first `places` addresses of a section where it may lie. */
static bool
find_in_section(const struct vmt_go_file *file, const Elf64_Shdr *section, uint64_t places,
		struct table *table)
{
	const unsigned char *bytes = vmt_go_image_at(file, section->sh_offset, section->sh_size);

	for (uint64_t at = 0; bytes && at < section->sh_size && at / 8 < places; at += 8) {
		if (is_table(bytes + at, section->sh_size - at, &table->functions)) {
			table->address = section->sh_addr + at;
			return true;
		}
	}
	return false;
}

static bool
find_in_sections(const struct vmt_go_file *file, uint64_t places, struct table *table)
{
	const Elf64_Ehdr *header = vmt_go_image_at(file, 0, sizeof(*header));
	const Elf64_Shdr *sections =
	    header ? vmt_go_image_at(file, header->e_shoff, header->e_shnum * sizeof(*sections))
		   : NULL;

	for (unsigned i = 0; sections && i < header->e_shnum; i++) {
		if (sections[i].sh_type == SHT_PROGBITS && (sections[i].sh_flags & SHF_ALLOC) &&
		    !(sections[i].sh_flags & SHF_EXECINSTR) &&
		    find_in_section(file, &sections[i], places, table))
			return true;
	}
	return false;
}

/* It has a section of its own, or, in position-independent programs before Go 1.26, lies somewhere
 * in .data.rel.ro. */
static bool
find_table(const struct vmt_go_file *file, struct table *table)
{
	return find_in_sections(file, 1, table) || find_in_sections(file, UINT64_MAX, table);
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
		    sections[i].sh_size < 65536 &&
		    sections[i].sh_size > VMT_GOPCLNTAB_MODULE_TEXT_OFFSET + 8 &&
		    vmt_go_image_word(file, address) == table->address)
			return vmt_go_image_word(file, address + VMT_GOPCLNTAB_MODULE_TEXT_OFFSET);
	}
	return 0;
}

/* NULL, or why not. */
static const char *
open_table(const struct vmt_go_file *file, struct vmt_gopclntab *functions)
{
	struct table table;
	uint64_t text;

	if (!find_table(file, &table))
		return "no function table of Go 1.18 or later";
	text = vmt_go_image_word(file, table.address + VMT_GOPCLNTAB_TEXT_OFFSET);
	if (text == 0)
		text = text_by_module(file, &table);
	*functions = table.functions;
	functions->text = text;
	return text != 0 ? NULL : "the function table does not say where the text is";
}

static const char *
read_table(struct vmt_go_image *image, const struct vmt_go_file *file)
{
	struct vmt_gopclntab table;
	const char *why = open_table(file, &table);

	if (why)
		return why;
	for (uint64_t i = 0; i < table.functions; i++) {
		struct vmt_gopclntab_entry entry;

		if (vmt_gopclntab_entry(&table, i, &entry))
			vmt_go_image_take(image, file,
					  &(struct vmt_go_name){entry.name, entry.room},
					  entry.start, entry.end - entry.start);
	}
	image->text_low = table.text;
	image->text_high = vmt_gopclntab_end(&table);
	return NULL;
}

const char *
vmt_go_functions_read(struct vmt_go_image *image, const struct vmt_go_file *file)
{
	const char *why = vmt_go_image_read_symbols(image, file);

	if (!why && image->stripped) {
		why = read_table(image, file);
		if (!why && image->objects_count == 0)
			vmt_go_objects_find(image, file);
	}
	if (!why && image->code[VMT_GO_CALLBACK][0].address != 0)
		image->cgo = true;
	if (why || image->text_high < image->text_low)
		image->text_low = image->text_high = 0;
	return why;
}

void
vmt_go_functions_tell(struct vmt_go_code_roles *roles, const struct vmt_go_file *file)
{
	struct vmt_gopclntab table;

	memset(roles, 0, sizeof(*roles));
	if (open_table(file, &table))
		return;
	roles->text = table.text;
	roles->bytes = (uint32_t)(vmt_gopclntab_end(&table) - table.text);
	for (uint64_t i = 0; i < table.functions; i++) {
		struct vmt_gopclntab_entry entry;

		if (vmt_gopclntab_entry(&table, i, &entry) && entry.start != entry.end &&
		    !vmt_go_roles_add(roles, (uint32_t)(entry.start - table.text),
				      vmt_go_roles_of_name(entry.name, entry.room)))
			return;
	}
}
