#include "base/elf_headers.h"

#include "base/pages.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

/* The file-backed part of the readable PT_LOAD that holds [address, address + bytes), or NULL. */
static const ElfW(Phdr) * segment_of(uint64_t bias, const ElfW(Phdr) * headers, uint32_t count,
				     uint64_t address, uint64_t bytes)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = bias + headers[i].p_vaddr;

		if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_R) &&
		    address >= start && bytes <= headers[i].p_filesz &&
		    address - start <= headers[i].p_filesz - bytes)
			return &headers[i];
	}
	return NULL;
}

static bool
describe_span(const ElfW(Phdr) * headers, uint32_t count, struct vmt_elf_headers *image)
{
	uint64_t low = UINT64_MAX;
	uint64_t high = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t end = headers[i].p_vaddr + headers[i].p_memsz;

		if (headers[i].p_type != PT_LOAD || end < headers[i].p_vaddr)
			continue;
		if (headers[i].p_vaddr < low)
			low = headers[i].p_vaddr;
		if (end > high)
			high = end;
	}
	if (high == 0)
		return false;
	image->low = image->bias + (low & ~(vmt_page_bytes - 1));
	image->high = image->bias + ((high + vmt_page_bytes - 1) & ~(vmt_page_bytes - 1));
	return image->low < image->high;
}

static void
describe_frames(const ElfW(Phdr) * headers, uint32_t count, const ElfW(Phdr) * frames,
		struct vmt_elf_headers *image)
{
	uint64_t address = image->bias + frames->p_vaddr;
	const ElfW(Phdr) *segment =
	    segment_of(image->bias, headers, count, address, frames->p_memsz);

	if (!segment || frames->p_memsz < 8)
		return;
	image->eh_frame_hdr = address;
	image->eh_frame_hdr_bytes = frames->p_memsz;
	image->frames_low = image->bias + segment->p_vaddr;
	image->frames_high = image->frames_low + segment->p_filesz;
}

static uint64_t
align_up(uint64_t bytes, uint64_t alignment)
{
	return (bytes + alignment - 1) & ~(alignment - 1);
}

/* Looks through the notes at [at, at + bytes) for the build id. */
static void
describe_notes(const unsigned char *at, uint64_t bytes, uint64_t alignment,
	       struct vmt_elf_headers *image)
{
	while (bytes >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		uint64_t name_end;
		uint64_t end;

		memcpy(&note, at, sizeof(note));
		name_end = align_up(sizeof(note) + (uint64_t)note.n_namesz, alignment);
		end = align_up(name_end + note.n_descsz, alignment);
		if (name_end + note.n_descsz > bytes)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp(at + sizeof(note), "GNU", 4) == 0 && note.n_descsz != 0) {
			image->build_id = at + name_end;
			image->build_id_bytes = note.n_descsz < VMT_ELF_HEADERS_BUILD_ID_BYTES
						    ? note.n_descsz
						    : VMT_ELF_HEADERS_BUILD_ID_BYTES;
			return;
		}
		if (end >= bytes)
			return;
		at += end;
		bytes -= end;
	}
}

bool
vmt_elf_headers_describe(uint64_t bias, const ElfW(Phdr) * headers, uint32_t count,
			 struct vmt_elf_headers *image)
{
	*image = (struct vmt_elf_headers){.bias = bias};
	if (!describe_span(headers, count, image))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const ElfW(Phdr) *header = &headers[i];
		uint64_t address = bias + header->p_vaddr;

		if (header->p_type == PT_GNU_EH_FRAME)
			describe_frames(headers, count, header, image);
		else if (header->p_type == PT_NOTE && !image->build_id &&
			 segment_of(bias, headers, count, address, header->p_memsz))
			describe_notes((const unsigned char *)address, header->p_memsz,
				       header->p_align == 8 ? 8 : 4, image);
	}
	return true;
}

bool
vmt_elf_headers_describe_mapped(uint64_t bias, uint64_t map_start, struct vmt_elf_headers *image)
{
	const ElfW(Ehdr) *header = (const void *)map_start;

	if ((map_start & (vmt_page_bytes - 1)) != 0 ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) ||
	    header->e_phoff % _Alignof(ElfW(Phdr)) != 0 || header->e_phoff > vmt_page_bytes ||
	    header->e_phnum > (vmt_page_bytes - header->e_phoff) / sizeof(ElfW(Phdr)))
		return false;
	return vmt_elf_headers_describe(bias, (const void *)(map_start + header->e_phoff),
					header->e_phnum, image);
}
