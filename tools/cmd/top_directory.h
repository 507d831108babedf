/*
 * top_directory.h: the processes of several traces, for `vmtrace top`.
 *
 * Of files and of all traces in directories: a row for each process that runs. Traces in
 * directories come and go. A reading costs what is new: of a trace whose process runs its new
 * chunks, of one whose process has ended a look at its file. Until all traces are known a reading
 * takes a tenth of a second and is partial. Single-threaded.
 */
#ifndef VMT_TOP_DIRECTORY_H
#define VMT_TOP_DIRECTORY_H

#include "tools/err.h"
#include "tools/top/top_reading.h"

struct vmt_top_directory;

/* paths, `count` of them, outlive it. */
int vmt_top_directory_open(struct vmt_top_directory **directory, char *const *paths, int count,
			   struct vmt_err *err);
void vmt_top_directory_close(struct vmt_top_directory *directory);

/* 0, or a negative errno and a message; nothing is to be freed then. */
int vmt_top_directory_read(struct vmt_top_directory *directory, struct vmt_top_reading *reading,
			   struct vmt_err *err);

#endif
