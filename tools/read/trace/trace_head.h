/*
 * trace_head.h: the head of a trace, for who opens the trace or asks for nothing more.
 *
 * Bytes are untrusted: an error, never a crash. What is read costs the same however large the trace
 * is. No state.
 */
#ifndef VMT_TRACE_HEAD_H
#define VMT_TRACE_HEAD_H

#include "format/head.h"
#include "tools/err.h"
#include "tools/read/trace/file_reader.h"

#include <stdbool.h>

/* As much of a head as both the trace and this version have; zeros for the rest. Not checked.
 * False: the file is shorter. */
bool vmt_trace_head_read_known(const struct vmt_file_reader *file, struct vmt_head *head);

/* The head of a trace that this version reads, with all regions that it names in the file. 0 or a
 * negative errno with a message. */
int vmt_trace_head_read(const struct vmt_file_reader *file, struct vmt_head *head,
			struct vmt_err *err);

/* The same by its path; a file that was compressed as a whole is expanded for that. */
int vmt_trace_head_of(const char *path, struct vmt_head *head, struct vmt_err *err);

#endif
