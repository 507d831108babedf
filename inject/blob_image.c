#include "inject/blob_image.h"

#include "base/text.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ALIGNMENT UINT64_C(4096) /* of segments: the linker is told so */

struct tables {
	const Elf64_Rela *relocations;
	uint64_t relocations_count;
	const Elf64_Sym *symbols;
	uint64_t symbols_count;
	const char *names;
};

static const Elf64_Ehdr *
header_of(const unsigned char *file)
{
	return (const void *)file;
}

static uint64_t
page_up(uint64_t bytes)
{
	return (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

/* Offsets in memory are those in the file up to the part that is written to. */
static struct tables
tables_of(const unsigned char *file)
{
	const Elf64_Shdr *sections = (const void *)(file + header_of(file)->e_shoff);
	struct tables tables = {NULL, 0, NULL, 0, NULL};

	for (unsigned i = 0; i < header_of(file)->e_shnum; i++) {
		const Elf64_Shdr *section = &sections[i];

		if (section->sh_type == SHT_RELA) {
			tables.relocations = (const void *)(file + section->sh_offset);
			tables.relocations_count = section->sh_size / sizeof(Elf64_Rela);
		} else if (section->sh_type == SHT_DYNSYM) {
			tables.symbols = (const void *)(file + section->sh_offset);
			tables.symbols_count = section->sh_size / sizeof(Elf64_Sym);
			tables.names = (const char *)file + sections[section->sh_link].sh_offset;
		}
	}
	return tables;
}

static uint64_t
find_symbol(const struct tables *tables, const char *wanted)
{
	uint64_t bytes = vmt_text_string_bytes(wanted) + 1;

	for (uint64_t i = 1; i < tables->symbols_count; i++)
		if (memcmp(tables->names + tables->symbols[i].st_name, wanted, bytes) == 0)
			return tables->symbols[i].st_value;
	return 0;
}

static void
take_segments(struct vmt_blob_image *image)
{
	const Elf64_Phdr *segments = (const void *)(image->file + header_of(image->file)->e_phoff);

	for (unsigned i = 0; i < header_of(image->file)->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];

		if (segment->p_type != PT_LOAD)
			continue;
		image->bytes = page_up(segment->p_vaddr + segment->p_memsz);
		image->filled = segment->p_vaddr + segment->p_filesz;
		if (segment->p_flags & PF_W)
			image->writable = segment->p_vaddr & ~(ALIGNMENT - 1);
	}
}

static int
check_relocations(const struct tables *tables)
{
	for (uint64_t i = 0; i < tables->relocations_count; i++)
		if (ELF64_R_TYPE(tables->relocations[i].r_info) != R_X86_64_RELATIVE)
			return -ENOEXEC;
	return 0;
}

/* The words of a table of addresses are in its relocations. */
static bool
take_handlers(struct vmt_blob_image *image, const struct tables *tables)
{
	uint64_t table = find_symbol(tables, "vmt_heap_entries");
	uint32_t found = 0;

	for (uint64_t i = 0; table != 0 && i < tables->relocations_count; i++) {
		uint64_t at = tables->relocations[i].r_offset - table;

		if (at % sizeof(uint64_t) != 0 || at >= sizeof(image->handlers))
			continue;
		image->handlers[at / sizeof(uint64_t)] = (uint64_t)tables->relocations[i].r_addend;
		found++;
	}
	return found == VMT_HEAP_ENTRIES_COUNT;
}

int
vmt_blob_image_read(struct vmt_blob_image *image, const unsigned char *file, size_t file_bytes)
{
	struct tables tables;

	*image = (struct vmt_blob_image){.file = file};
	if (file_bytes < sizeof(Elf64_Ehdr) || memcmp(file, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	take_segments(image);
	tables = tables_of(file);
	image->start = find_symbol(&tables, "vmt_blob_start");
	image->parameters = find_symbol(&tables, "vmt_blob_parameters");
	image->entry = find_symbol(&tables, "vmt_blob_entry");
	image->end = find_symbol(&tables, "vmt_blob_end");
	if (!image->start || !image->parameters || !image->entry || !image->end ||
	    !image->writable || !take_handlers(image, &tables))
		return -ENOEXEC;
	return check_relocations(&tables);
}

static void
copy_segments(const struct vmt_blob_image *image, unsigned char *bytes)
{
	const Elf64_Phdr *segments = (const void *)(image->file + header_of(image->file)->e_phoff);

	memset(bytes, 0, image->filled);
	for (unsigned i = 0; i < header_of(image->file)->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD)
			memcpy(bytes + segments[i].p_vaddr, image->file + segments[i].p_offset,
			       segments[i].p_filesz);
}

void
vmt_blob_image_place(const struct vmt_blob_image *image, uint64_t address, unsigned char *bytes)
{
	struct tables tables = tables_of(image->file);

	copy_segments(image, bytes);
	for (uint64_t i = 0; i < tables.relocations_count; i++) {
		const Elf64_Rela *relocation = &tables.relocations[i];
		uint64_t value = address + (uint64_t)relocation->r_addend;

		memcpy(bytes + relocation->r_offset, &value, sizeof(value));
	}
}
