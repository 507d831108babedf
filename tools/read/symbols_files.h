/*
 * symbols_files.h: which files say something about a module?
 *
 * The file that was loaded; where it has no debug information of its own the separate debug file,
 * by build-id or by .gnu_debuglink, as gdb looks; and what dwz moved out of either into a file that
 * several share, taken from below /usr/lib/debug alone. A build-id or checksum that is not the one
 * wanted means: not this file. No name of a file that stands inside another one is followed
 * elsewhere: a program could name any.
 *
 * Every path that was tried is kept with what was there, so that a later run can tell whether it
 * would find the same.
 */
#ifndef VMT_SYMBOLS_FILES_H
#define VMT_SYMBOLS_FILES_H

#include "format/module_table.h"
#include "tools/read/identity.h"
#include "tools/read/symbols_elf.h"

#include <stddef.h>

#define VMT_SYMBOLS_FILES_MAX_TRIED 8u

struct vmt_symbols_tried {
	char *path;
	struct vmt_identity identity; /* just before it was opened */
};

struct vmt_symbols_files {
	struct vmt_symbols_elf *program;   /* what was loaded; NULL: see trouble */
	struct vmt_symbols_elf *debug;	   /* its separate debug file, or NULL */
	struct vmt_symbols_elf *alternate; /* what dwz moved out, or NULL */
	const char *trouble;		   /* static; why there is no program */
	struct vmt_symbols_tried tried[VMT_SYMBOLS_FILES_MAX_TRIED];
	size_t tried_count;
};

void vmt_symbols_files_open(struct vmt_symbols_files *files, const char *path,
			    const struct vmt_module *module);
void vmt_symbols_files_close(struct vmt_symbols_files *files);

#endif
