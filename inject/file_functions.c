#include "inject/file_functions.h"

#include "inject/go_bounds.h"

#include <elf.h>
#include <string.h>

/* More of a kind, which no linker writes, would only make the reading long. */
#define SECTIONS_OF_A_KIND 4u

struct sections {
	const struct vmt_file *file;
	uint64_t offset;
	uint32_t count;
	uint32_t names; /* which of them has the names of all */
};

/* Bytes [offset, offset + bytes) of the file; NULL: they are not all there. */
static const uint8_t *
part(const struct vmt_file *file, uint64_t offset, uint64_t bytes)
{
	if (offset > file->length || bytes > file->length - offset)
		return NULL;
	return file->bytes + offset;
}

static bool
open_sections(const struct vmt_file *file, struct sections *sections)
{
	const uint8_t *bytes = part(file, 0, sizeof(Elf64_Ehdr));
	Elf64_Ehdr header;

	if (!bytes)
		return false;
	memcpy(&header, bytes, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr) ||
	    !part(file, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr)))
		return false;
	*sections = (struct sections){file, header.e_shoff, header.e_shnum, header.e_shstrndx};
	return true;
}

static bool
take_section(const struct sections *sections, uint32_t index, Elf64_Shdr *section)
{
	if (index >= sections->count)
		return false;
	memcpy(section, sections->file->bytes + sections->offset + index * sizeof(*section),
	       sizeof(*section));
	return true;
}

/* A string of a section of strings; NULL: there is none. The section's last byte ends each of them
 * (gABI, String Table): none is searched for its end, which could be far away for every symbol. */
static const char *
string_of(const struct sections *sections, uint32_t index, uint32_t offset)
{
	Elf64_Shdr strings;
	const uint8_t *bytes;

	if (!take_section(sections, index, &strings) || strings.sh_type != SHT_STRTAB)
		return NULL;
	bytes = part(sections->file, strings.sh_offset, strings.sh_size);
	if (!bytes || offset >= strings.sh_size || bytes[strings.sh_size - 1] != '\0')
		return NULL;
	return (const char *)bytes + offset;
}

static void
visit_symbols(const struct sections *sections, const Elf64_Shdr *table,
	      vmt_file_functions_visitor *visit, void *context)
{
	const uint8_t *bytes = part(sections->file, table->sh_offset, table->sh_size);

	if (!bytes)
		return;
	for (uint64_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); i++) {
		Elf64_Sym symbol;
		struct vmt_file_function function;
		unsigned type;

		memcpy(&symbol, bytes + i * sizeof(symbol), sizeof(symbol));
		type = ELF64_ST_TYPE(symbol.st_info);
		if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF)
			continue;
		function = (struct vmt_file_function){
		    .name = string_of(sections, table->sh_link, symbol.st_name),
		    .address = symbol.st_value,
		    .bytes = symbol.st_size,
		    .is_local = ELF64_ST_BIND(symbol.st_info) == STB_LOCAL,
		    .is_indirect = type == STT_GNU_IFUNC,
		};
		if (function.name)
			visit(context, &function);
	}
}

static bool
is_table(const struct sections *sections, uint32_t index, Elf64_Shdr *section)
{
	return take_section(sections, index, section) &&
	       (section->sh_type == SHT_SYMTAB || section->sh_type == SHT_DYNSYM);
}

void
vmt_file_functions_each(const struct vmt_file *file, vmt_file_functions_visitor *visit,
			void *context)
{
	struct sections sections;
	Elf64_Shdr section;
	uint32_t taken = 0;

	if (!open_sections(file, &sections))
		return;
	for (uint32_t i = 0; taken < SECTIONS_OF_A_KIND && i < sections.count; i++) {
		if (!is_table(&sections, i, &section))
			continue;
		visit_symbols(&sections, &section, visit, context);
		taken++;
	}
}

uint64_t
vmt_file_functions_bytes(const struct vmt_file *file)
{
	struct sections sections;
	Elf64_Shdr section;
	uint64_t bytes = 0;
	uint32_t taken = 0;

	if (!open_sections(file, &sections))
		return 0;
	for (uint32_t i = 0; taken < SECTIONS_OF_A_KIND && i < sections.count; i++) {
		if (!is_table(&sections, i, &section) ||
		    !part(file, section.sh_offset, section.sh_size))
			continue;
		bytes += section.sh_size;
		taken++;
	}
	return bytes;
}

struct adder {
	struct vmt_code_map *map;
	int error;
};

static void
add_symbol(void *context, const struct vmt_file_function *function)
{
	struct adder *adder = context;
	uint64_t start = function->address + adder->map->bias;

	if (adder->error == 0)
		adder->error =
		    vmt_code_map_add_function(adder->map, start, start + function->bytes);
}

struct taken {
	uint32_t frames;
	uint32_t go_tables;
};

static int
add_section(struct vmt_code_map *map, const char *name, const Elf64_Shdr *section,
	    struct taken *taken)
{
	uint64_t address = section->sh_addr + map->bias;
	size_t room;

	if (!vmt_code_map_bytes(map, address, &room))
		return 0;
	if (strcmp(name, ".eh_frame") == 0 && taken->frames++ < SECTIONS_OF_A_KIND)
		return vmt_code_map_add_frames(map, address, section->sh_size);
	if ((strcmp(name, ".gopclntab") == 0 || strcmp(name, ".data.rel.ro.gopclntab") == 0) &&
	    taken->go_tables++ < SECTIONS_OF_A_KIND)
		return vmt_go_bounds_add(map, address, section->sh_size);
	return 0;
}

static int
add_sections(const struct vmt_file *file, struct vmt_code_map *map)
{
	struct sections sections;
	struct taken taken = {.frames = 0};
	Elf64_Shdr section;
	int error = 0;

	if (!open_sections(file, &sections))
		return 0;
	for (uint32_t i = 0; error == 0 && i < sections.count; i++) {
		const char *name = take_section(&sections, i, &section)
				       ? string_of(&sections, sections.names, section.sh_name)
				       : NULL;

		if (name)
			error = add_section(map, name, &section, &taken);
	}
	return error;
}

int
vmt_file_functions_add(const struct vmt_file *file, struct vmt_code_map *map)
{
	struct adder adder = {.map = map};

	vmt_file_functions_each(file, add_symbol, &adder);
	return adder.error != 0 ? adder.error : add_sections(file, map);
}
