/*
 * top_directory.h: the processes of several traces, for `vmtrace top`.
 *
 * Of files and of all traces in directories: a row for each process that runs. Traces in
 * directories come and go. A reading costs what is new: of a trace whose process runs its new
 * chunks, of one whose process has ended a look at its file. One that takes longer than it may goes
 * on with the other traces in the next, and is partial until each has been read once. Where there
 * are so many that a reading never gets through, it says of how many the figures are older.
 * Single-threaded.
 */
#ifndef VMT_TOP_DIRECTORY_H
#define VMT_TOP_DIRECTORY_H

#include "tools/err.h"
#include "tools/top/top_reading.h"

struct vmt_top_directory;

/* paths, `count` of them, outlive it. most_ns: what one reading may take, once it has the names of
 * all files; one file is read in any case. */
int vmt_top_directory_open(struct vmt_top_directory **directory, char *const *paths, int count,
			   uint64_t most_ns, struct vmt_err *err);
void vmt_top_directory_close(struct vmt_top_directory *directory);

/* 0, or a negative errno and a message; nothing is to be freed then. */
int vmt_top_directory_read(struct vmt_top_directory *directory, struct vmt_top_reading *reading,
			   struct vmt_err *err);

#endif
