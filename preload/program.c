#include "preload/program.h"

#include "format/command.h"

#include <link.h>
#include <stdint.h>
#include <string.h>

static size_t
align_up(size_t bytes, size_t alignment)
{
	return (bytes + alignment - 1) & ~(alignment - 1);
}

bool
vmt_program_has_note(const void *notes, size_t bytes, size_t alignment)
{
	static const struct vmt_command_note wanted = VMT_COMMAND_NOTE;
	const unsigned char *at = notes;

	while (bytes >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		size_t length;

		memcpy(&note, at, sizeof(note));
		length = align_up(sizeof(note) + (size_t)note.n_namesz, alignment);
		length = align_up(length + note.n_descsz, alignment);
		if (bytes >= sizeof(wanted) && memcmp(at, &wanted, sizeof(wanted)) == 0)
			return true;
		if (length >= bytes)
			return false;
		at += length;
		bytes -= length;
	}
	return false;
}

/* The main program is the first that the loader tells of. */
static int
visit(struct dl_phdr_info *info, size_t size, void *found)
{
	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_NOTE &&
		    vmt_program_has_note((const void *)(info->dlpi_addr + header->p_vaddr),
					 header->p_memsz, header->p_align == 8 ? 8 : 4))
			*(bool *)found = true;
	}
	return 1;
}

bool
vmt_program_is_command(void)
{
	bool found = false;

	dl_iterate_phdr(visit, &found);
	return found;
}
