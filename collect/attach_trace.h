/*
 * attach_trace.h: opens an announced trace, checks it and maps its head
 *
 * The head is in the trace itself, or in a file aside where the trace's file system shares no
 * mappings (shm_fallback.h): then the trace is written by head_writer.h. Fills trace_fd, aside_fd,
 * layout, base and head_writer of a process. What a trace says is its target's to forge: its head
 * is checked, and must have the random id of the announcement. Single-threaded. Errors: negative
 * errno.
 */
#ifndef VMT_ATTACH_TRACE_H
#define VMT_ATTACH_TRACE_H

#include "collect/traced.h"

/* Opens the trace, and the file aside if it names one; reads and checks the head. */
int vmt_attach_trace_find(struct vmt_traced *process, const char *path);

int vmt_attach_trace_map(struct vmt_traced *process);

/* After either, when it is not to be tried again: nobody else looks for a file aside, so its name
 * goes. */
void vmt_attach_trace_settle(const struct vmt_traced *process);

/* Writes what head_writer has still to write, unmaps and closes all of it. */
void vmt_attach_trace_undo(struct vmt_traced *process);

/* The descriptor whose mapping the target has. */
int vmt_attach_trace_head_fd(const struct vmt_traced *process);

#endif
