/*
 * made_elf.h: an ELF file with debug information, made by hand.
 *
 * Sections are put together byte by byte; made_elf_write lays them out behind the head. For what no
 * compiler would write.
 */
#ifndef VMT_MADE_ELF_H
#define VMT_MADE_ELF_H

#include <assert.h>
#include <dwarf.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MADE_ELF_MAX_SECTIONS 8u

struct made_section {
	const char *name;
	unsigned char *bytes;
	size_t length;
	size_t room;
	uint64_t flags;
};

struct made_elf {
	struct made_section sections[MADE_ELF_MAX_SECTIONS];
	size_t count;
};

static inline struct made_section *
made_elf_section(struct made_elf *elf, const char *name)
{
	struct made_section *section = &elf->sections[elf->count++];

	assert(elf->count <= MADE_ELF_MAX_SECTIONS);
	*section = (struct made_section){.name = name};
	return section;
}

static inline void
made_put(struct made_section *section, const void *bytes, size_t length)
{
	if (length == 0)
		return;
	if (section->length + length > section->room) {
		section->room = 2 * (section->length + length);
		section->bytes = realloc(section->bytes, section->room);
		assert(section->bytes);
	}
	memcpy(section->bytes + section->length, bytes, length);
	section->length += length;
}

static inline void
made_put_number(struct made_section *section, uint64_t number, size_t length)
{
	made_put(section, &number, length);
}

static inline void
made_put_text(struct made_section *section, const char *text)
{
	made_put(section, text, strlen(text) + 1);
}

/* One entry of .debug_abbrev: code, tag, whether it has children, then attributes and their forms
 * in pairs, ended by 0. All of them are below 128. */
static inline void
made_put_abbreviation(struct made_section *section, const unsigned char *numbers)
{
	size_t length = 3;

	while (numbers[length])
		length += 2;
	made_put(section, numbers, length);
	made_put(section, "\0", 2);
}

/* The head of a unit of DWARF 4; its length is set by made_end_unit. */
static inline size_t
made_begin_unit(struct made_section *section)
{
	size_t at = section->length;

	made_put_number(section, 0, 4);
	made_put_number(section, 4, 2); /* version */
	made_put_number(section, 0, 4); /* abbreviations */
	made_put_number(section, 8, 1); /* bytes of an address */
	return at;
}

static inline void
made_end_unit(struct made_section *section, size_t at)
{
	uint32_t length = (uint32_t)(section->length - at - 4);

	memcpy(section->bytes + at, &length, sizeof(length));
}

static inline void
made_write_table(FILE *file, const struct made_elf *elf, const uint32_t *names, uint32_t own_name,
		 size_t names_length)
{
	uint64_t offset = sizeof(Elf64_Ehdr);
	Elf64_Shdr header = {0};

	fwrite(&header, sizeof(header), 1, file);
	for (size_t i = 0; i < elf->count; i++) {
		header = (Elf64_Shdr){.sh_name = names[i],
				      .sh_type = SHT_PROGBITS,
				      .sh_flags = elf->sections[i].flags,
				      .sh_offset = offset,
				      .sh_size = elf->sections[i].length,
				      .sh_addralign = 1};
		fwrite(&header, sizeof(header), 1, file);
		offset += elf->sections[i].length;
	}
	header = (Elf64_Shdr){.sh_name = own_name,
			      .sh_type = SHT_STRTAB,
			      .sh_offset = offset,
			      .sh_size = names_length,
			      .sh_addralign = 1};
	fwrite(&header, sizeof(header), 1, file);
}

/* Writes the file and frees what was put together. */
static inline void
made_elf_write(struct made_elf *elf, const char *path)
{
	struct made_section names = {0};
	uint32_t name_offsets[MADE_ELF_MAX_SECTIONS];
	uint32_t own_name;
	FILE *file = fopen(path, "wb");
	Elf64_Ehdr head = {
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_DYN,
	    .e_machine = EM_X86_64,
	    .e_version = EV_CURRENT,
	    .e_ehsize = sizeof(Elf64_Ehdr),
	    .e_shentsize = sizeof(Elf64_Shdr),
	    .e_shnum = (uint16_t)(elf->count + 2),
	    .e_shstrndx = (uint16_t)(elf->count + 1),
	    .e_shoff = sizeof(Elf64_Ehdr)};

	assert(file);
	made_put_text(&names, "");
	for (size_t i = 0; i < elf->count; i++) {
		name_offsets[i] = (uint32_t)names.length;
		made_put_text(&names, elf->sections[i].name);
		head.e_shoff += elf->sections[i].length;
	}
	own_name = (uint32_t)names.length;
	made_put_text(&names, ".shstrtab");
	head.e_shoff += names.length;
	fwrite(&head, sizeof(head), 1, file);
	for (size_t i = 0; i < elf->count; i++) {
		if (elf->sections[i].length)
			fwrite(elf->sections[i].bytes, 1, elf->sections[i].length, file);
		free(elf->sections[i].bytes);
	}
	fwrite(names.bytes, 1, names.length, file);
	made_write_table(file, elf, name_offsets, own_name, names.length);
	free(names.bytes);
	elf->count = 0;
	if (fclose(file) != 0)
		abort();
}

#endif
