/*
 * snapshot_take.h: takes a snapshot of a running process, or says in one line why not
 *
 * See collect/look.h for what is read, and that nothing is changed. Single-threaded.
 */
#ifndef VMT_SNAPSHOT_TAKE_H
#define VMT_SNAPSHOT_TAKE_H

#include "tools/err.h"

#include <stdint.h>

/* Writes the trace of one snapshot into an empty file, which stays the caller's. 0, or a negative
 * errno and a message. */
int vmt_snapshot_take_write(uint32_t pid, int trace_fd, struct vmt_err *err);

/* The same into a file of that name, which takes another's place only when it is whole. */
int vmt_snapshot_take_file(uint32_t pid, const char *path, struct vmt_err *err);

/* The same into a file that has no name. Its descriptor, or a negative errno and a message. */
int vmt_snapshot_take_nameless(uint32_t pid, struct vmt_err *err);

#endif
