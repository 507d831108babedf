/*
 * trace_files.h: the traces that a command line names: files, and all *.vmt of directories.
 *
 * Single-threaded.
 */
#ifndef VMT_TRACE_FILES_H
#define VMT_TRACE_FILES_H

#include "tools/err.h"
#include "tools/model/tree/tree_build.h"

#include <stdbool.h>
#include <stddef.h>

#define VMT_TRACE_FILES_MOST 100000u

struct vmt_trace_files {
	struct vmt_tree_file *all;
	size_t count;
	size_t room;
	size_t most;
	size_t passed_over; /* beyond the most */
};

/* Whether the path is a directory. */
bool vmt_trace_files_is_directory(const char *path);

/* Takes at most `most` files and counts the others. 0 or a negative errno; -ENOENT: a directory
 * without a trace. Freed by vmt_trace_files_free in either case. */
int vmt_trace_files_find(struct vmt_trace_files *files, char *const *operands, int count,
			 size_t most, struct vmt_err *err);
void vmt_trace_files_free(struct vmt_trace_files *files);

#endif
