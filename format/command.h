/*
 * command.h: how the library knows the vmtrace command when it is loaded into it
 *
 * By an ELF note (System V gABI, chapter 5) in a loaded segment of the executable: owner "vmtrace",
 * type 1, no content. It survives strip, renaming and links.
 */
#ifndef VMT_COMMAND_H
#define VMT_COMMAND_H

#include <stdint.h>

#define VMT_COMMAND_SECTION ".note.vmtrace"

struct vmt_command_note {
	uint32_t name_bytes;
	uint32_t content_bytes;
	uint32_t type;
	char name[8];
};

#define VMT_COMMAND_NOTE                                                                           \
	{                                                                                          \
		8, 0, 1, "vmtrace"                                                                 \
	}

_Static_assert(sizeof(struct vmt_command_note) == 20, "a note's header is three words");

#endif
