/*
 * snapshot_program.h: which program does a process run, where does it lie, and is it Go's?
 *
 * Reads the program's file by /proc/PID/exe, in a child process of its own: the file is untrusted,
 * and may be cut while it is read. What can't be learnt is left out. Single-threaded.
 */
#ifndef VMT_SNAPSHOT_PROGRAM_H
#define VMT_SNAPSHOT_PROGRAM_H

#include "format/go.h"
#include "format/module_table.h"

#include <stdbool.h>
#include <stdint.h>

/* Points into itself: not to be copied. */
struct vmt_snapshot_program {
	bool is_known; /* module tells where it lies */
	bool is_go;
	struct vmt_module module;
	struct vmt_go go; /* addresses in the process */
	char path[VMT_MODULE_PATH_MAX_BYTES];
	unsigned char build_id[VMT_BUILD_ID_MAX_BYTES];
};

void vmt_snapshot_program_find(struct vmt_snapshot_program *program, uint32_t pid);

#endif
