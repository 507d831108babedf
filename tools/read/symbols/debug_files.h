/*
 * debug_files.h: finds the debug files of a module.
 *
 * The file that was loaded; where it has no debug information of its own the separate debug file,
 * by build-id or by .gnu_debuglink, as gdb looks; and what dwz moved out of either into a file that
 * several share, taken from below /usr/lib/debug alone. A build-id or checksum that is not the one
 * wanted means: not this file. Where the module has no build-id, recorded_files.h says whether its
 * file is still the one that was recorded. No name of a file that stands inside another one is
 * followed elsewhere: a program could name any.
 */
#ifndef VMT_DEBUG_FILES_H
#define VMT_DEBUG_FILES_H

#include "format/module_table.h"
#include "tools/read/elf/elf_symbols.h"
#include "tools/read/symbols/recorded_files.h"

#include <stddef.h>

/* The trouble of a file that is not certainly the one that was recorded. */
#define VMT_DEBUG_FILES_MAY_HAVE_CHANGED                                                           \
	"the file may have changed since it was recorded: it has no build-id"

struct vmt_debug_files {
	struct vmt_elf_symbols *program;   /* what was loaded; NULL: see trouble */
	struct vmt_elf_symbols *debug;	   /* its separate debug file, or NULL */
	struct vmt_elf_symbols *alternate; /* what dwz moved out, or NULL */
	const char *trouble;		   /* static; why there is no program */
};

/* root: a directory below which all of them are looked up, or NULL. recorded: NULL: a file of a
 * module without a build-id is taken as it is. */
void vmt_debug_files_open(struct vmt_debug_files *files, const char *root, const char *path,
			  const struct vmt_module *module,
			  const struct vmt_recorded_files *recorded);
void vmt_debug_files_close(struct vmt_debug_files *files);

#endif
