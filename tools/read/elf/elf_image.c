#include "tools/read/elf/elf_image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* The range of the file, or NULL where it is not all there. */
static const unsigned char *
part(const struct vmt_elf_image *image, uint64_t offset, uint64_t bytes)
{
	if (offset > image->file_bytes || bytes > image->file_bytes - offset)
		return NULL;
	return image->file + offset;
}

static bool
read_header(const struct vmt_elf_image *image, Elf64_Ehdr *header)
{
	const unsigned char *bytes = part(image, 0, sizeof(*header));

	if (!bytes || memcmp(bytes, ELFMAG, SELFMAG) != 0 || bytes[EI_CLASS] != ELFCLASS64 ||
	    bytes[EI_DATA] != ELFDATA2LSB)
		return false;
	memcpy(header, bytes, sizeof(*header));
	return true;
}

static bool
read_segments(struct vmt_elf_image *image, const Elf64_Ehdr *header)
{
	const unsigned char *table =
	    part(image, header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr));

	if (!table || header->e_phentsize != sizeof(Elf64_Phdr))
		return false;
	image->segments = calloc((size_t)header->e_phnum + 1, sizeof(*image->segments));
	if (!image->segments)
		return false;
	for (uint16_t i = 0; i < header->e_phnum; i++) {
		const unsigned char *data;
		Elf64_Phdr segment;

		memcpy(&segment, table + i * sizeof(segment), sizeof(segment));
		data = part(image, segment.p_offset, segment.p_filesz);
		if (segment.p_type != PT_LOAD || !data || !segment.p_filesz ||
		    segment.p_vaddr > UINT64_MAX - segment.p_filesz)
			continue;
		image->segments[image->segment_count++] = (struct vmt_elf_segment){
		    .address = segment.p_vaddr,
		    .bytes = segment.p_filesz,
		    .data = data,
		    .executable = (segment.p_flags & PF_X) != 0,
		};
	}
	return image->segment_count > 0;
}

static bool
read_section(const struct vmt_elf_image *image, const Elf64_Ehdr *header, uint16_t index,
	     Elf64_Shdr *section)
{
	const unsigned char *table =
	    part(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(*section));

	if (!table || header->e_shentsize != sizeof(*section) || index >= header->e_shnum)
		return false;
	memcpy(section, table + index * sizeof(*section), sizeof(*section));
	return true;
}

static bool
is_relative(const Elf64_Ehdr *header, uint64_t info)
{
	uint32_t type = ELF64_R_TYPE(info);

	return (header->e_machine == EM_X86_64 && type == R_X86_64_RELATIVE) ||
	       (header->e_machine == EM_AARCH64 && type == R_AARCH64_RELATIVE);
}

/* Where the dynamic section says they are: section headers may be gone. */
static const unsigned char *
find_relocations(const struct vmt_elf_image *image, const Elf64_Ehdr *header, uint64_t *bytes)
{
	const unsigned char *table =
	    part(image, header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr));
	uint64_t address = 0;
	size_t available = 0;
	const unsigned char *found;

	*bytes = 0;
	for (uint16_t i = 0; table && i < header->e_phnum; i++) {
		const unsigned char *data;
		Elf64_Phdr segment;

		memcpy(&segment, table + i * sizeof(segment), sizeof(segment));
		data = part(image, segment.p_offset, segment.p_filesz);
		if (segment.p_type != PT_DYNAMIC || !data)
			continue;
		for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= segment.p_filesz;
		     at += sizeof(Elf64_Dyn)) {
			Elf64_Dyn entry;

			memcpy(&entry, data + at, sizeof(entry));
			if (entry.d_tag == DT_RELA)
				address = entry.d_un.d_ptr;
			else if (entry.d_tag == DT_RELASZ)
				*bytes = entry.d_un.d_val;
		}
	}
	found = address ? vmt_elf_image_at(image, address, &available) : NULL;
	return found && *bytes <= available ? found : NULL;
}

static int
compare_relocations(const void *left, const void *right)
{
	const struct vmt_elf_relocation *a = left;
	const struct vmt_elf_relocation *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

static bool
read_relocations(struct vmt_elf_image *image, const Elf64_Ehdr *header)
{
	uint64_t bytes;
	const unsigned char *table = find_relocations(image, header, &bytes);
	size_t count = table ? bytes / sizeof(Elf64_Rela) : 0;

	if (!count)
		return true;
	image->relocations = calloc(count, sizeof(*image->relocations));
	if (!image->relocations)
		return false;
	for (size_t i = 0; i < count; i++) {
		Elf64_Rela entry;

		memcpy(&entry, table + i * sizeof(entry), sizeof(entry));
		if (is_relative(header, entry.r_info))
			image->relocations[image->relocation_count++] = (struct vmt_elf_relocation){
			    .address = entry.r_offset, .value = (uint64_t)entry.r_addend};
	}
	qsort(image->relocations, image->relocation_count, sizeof(*image->relocations),
	      compare_relocations);
	return true;
}

bool
vmt_elf_image_open(struct vmt_elf_image *image, const unsigned char *file, size_t bytes)
{
	Elf64_Ehdr header;

	*image = (struct vmt_elf_image){.file = file, .file_bytes = bytes};
	return read_header(image, &header) && read_segments(image, &header) &&
	       read_relocations(image, &header);
}

void
vmt_elf_image_close(struct vmt_elf_image *image)
{
	free(image->segments);
	free(image->relocations);
	*image = (struct vmt_elf_image){0};
}

const unsigned char *
vmt_elf_image_at(const struct vmt_elf_image *image, uint64_t address, size_t *available)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct vmt_elf_segment *segment = &image->segments[i];

		if (address < segment->address || address - segment->address >= segment->bytes)
			continue;
		*available = segment->bytes - (address - segment->address);
		return segment->data + (address - segment->address);
	}
	return NULL;
}

bool
vmt_elf_image_word(const struct vmt_elf_image *image, uint64_t address, uint64_t *word)
{
	struct vmt_elf_relocation wanted = {.address = address};
	const struct vmt_elf_relocation *found = NULL;
	const unsigned char *bytes;
	size_t available;

	if (image->relocation_count)
		found = bsearch(&wanted, image->relocations, image->relocation_count,
				sizeof(wanted), compare_relocations);
	if (found) {
		*word = found->value;
		return true;
	}
	bytes = vmt_elf_image_at(image, address, &available);
	if (!bytes || available < sizeof(*word))
		return false;
	memcpy(word, bytes, sizeof(*word));
	return true;
}

const unsigned char *
vmt_elf_image_section(const struct vmt_elf_image *image, const char *name, uint64_t *address,
		      size_t *bytes)
{
	size_t name_bytes = strlen(name) + 1;
	Elf64_Ehdr header;
	Elf64_Shdr names;

	if (!read_header(image, &header) ||
	    !read_section(image, &header, header.e_shstrndx, &names))
		return NULL;
	for (uint16_t i = 0; i < header.e_shnum; i++) {
		const unsigned char *word;
		const unsigned char *data;
		Elf64_Shdr section;

		if (!read_section(image, &header, i, &section) || section.sh_type == SHT_NOBITS ||
		    section.sh_name > names.sh_size || name_bytes > names.sh_size - section.sh_name)
			continue;
		word = part(image, names.sh_offset, names.sh_size);
		data = part(image, section.sh_offset, section.sh_size);
		if (!word || !data || memcmp(word + section.sh_name, name, name_bytes) != 0)
			continue;
		*address = section.sh_addr;
		*bytes = section.sh_size;
		return data;
	}
	return NULL;
}
