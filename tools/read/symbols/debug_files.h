/*
 * debug_files.h: finds the debug files of a module.
 *
 * The file that was loaded; where it has no debug information of its own the separate debug file,
 * by build-id or by .gnu_debuglink, as gdb looks; and what dwz moved out of either into a file that
 * several share, taken from below /usr/lib/debug alone. A build-id or checksum that is not the one
 * wanted means: not this file. No name of a file that stands inside another one is followed
 * elsewhere: a program could name any.
 */
#ifndef VMT_DEBUG_FILES_H
#define VMT_DEBUG_FILES_H

#include "format/module_table.h"
#include "tools/read/elf/elf_symbols.h"

#include <stddef.h>

struct vmt_debug_files {
	struct vmt_elf_symbols *program;   /* what was loaded; NULL: see trouble */
	struct vmt_elf_symbols *debug;	   /* its separate debug file, or NULL */
	struct vmt_elf_symbols *alternate; /* what dwz moved out, or NULL */
	const char *trouble;		   /* static; why there is no program */
};

/* root: a directory below which all of them are looked up, or NULL. */
void vmt_debug_files_open(struct vmt_debug_files *files, const char *root, const char *path,
			  const struct vmt_module *module);
void vmt_debug_files_close(struct vmt_debug_files *files);

#endif
