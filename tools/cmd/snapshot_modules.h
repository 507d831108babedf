/*
 * snapshot_modules.h: which files are loaded into a process, where, and is the program Go's?
 *
 * What is mapped from its first byte on, and is an ELF file for this machine. The files are read
 * below /proc/PID/root, in a child process of its own: they are untrusted, and may be cut while
 * they are read. One that can't be opened, or is another than the one that is mapped, is left out.
 * Single-threaded.
 */
#ifndef VMT_SNAPSHOT_MODULES_H
#define VMT_SNAPSHOT_MODULES_H

#include "format/go.h"
#include "format/module_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_SNAPSHOT_MODULES_MOST 4096u

struct vmt_snapshot_modules {
	struct vmt_module *all; /* where each lies in the process */
	size_t all_count;
	bool is_go;
	struct vmt_go go;	/* addresses in the process */
	const char *go_library; /* what brings that runtime; NULL: the program is Go */
	/* What `all` points to: of all files that are mapped so. */
	char **paths;
	struct vmt_snapshot_module_file *files;
	size_t count;
};

/* Less is found where memory is short. */
void vmt_snapshot_modules_find(struct vmt_snapshot_modules *modules, uint32_t pid);
void vmt_snapshot_modules_free(struct vmt_snapshot_modules *modules);

#endif
