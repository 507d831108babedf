#include "collect/frame_sections.h"

#include "base/sys.h"

#include <elf.h>
#include <string.h>

#define SECTIONS 64u /* looked at */
#define NAMES_BYTES 8192u

static const char wanted[] = ".eh_frame";

static bool
read_head(int fd, Elf64_Ehdr *head)
{
	return vmt_sys_pread(fd, head, sizeof(*head), 0) == (long)sizeof(*head) &&
	       head->e_shentsize == sizeof(Elf64_Shdr) && head->e_shstrndx < SECTIONS &&
	       head->e_shoff <= INT64_MAX;
}

static uint32_t
read_sections(int fd, const Elf64_Ehdr *head, Elf64_Shdr sections[SECTIONS])
{
	uint32_t count = head->e_shnum < SECTIONS ? head->e_shnum : SECTIONS;
	long got = vmt_sys_pread(fd, sections, count * sizeof(*sections), head->e_shoff);

	return got > 0 ? (uint32_t)((uint64_t)got / sizeof(*sections)) : 0;
}

static bool
is_wanted(const Elf64_Shdr *section, const char *names, uint64_t names_bytes)
{
	return (section->sh_flags & SHF_ALLOC) && section->sh_type != SHT_NOBITS &&
	       names_bytes >= sizeof(wanted) && section->sh_name <= names_bytes - sizeof(wanted) &&
	       memcmp(names + section->sh_name, wanted, sizeof(wanted)) == 0;
}

bool
vmt_frame_sections_find(int fd, uint64_t *address, uint64_t *bytes)
{
	Elf64_Shdr sections[SECTIONS];
	char names[NAMES_BYTES];
	Elf64_Ehdr head;
	uint32_t count;
	long got;

	if (!read_head(fd, &head))
		return false;
	count = read_sections(fd, &head, sections);
	if (head.e_shstrndx >= count || sections[head.e_shstrndx].sh_offset > INT64_MAX)
		return false;
	got = vmt_sys_pread(fd, names, sizeof(names), sections[head.e_shstrndx].sh_offset);
	for (uint32_t i = 0; got > 0 && i < count; i++) {
		if (!is_wanted(&sections[i], names, (uint64_t)got))
			continue;
		*address = sections[i].sh_addr;
		*bytes = sections[i].sh_size;
		return true;
	}
	return false;
}
