/*
 * title.h: what the process calls itself now
 *
 * Servers write over their arguments, and workers and children of one program are told apart by
 * that alone ("postgres: checkpointer", "nginx: worker process"). Read from /proc/PID/cmdline and
 * appended as a TITLE chunk where it is not what was last known, which to begin with is the command
 * line in the trace's head. Nothing where that was left out of the trace (VMTRACE_CMDLINE=off).
 * Single-threaded, allocates nothing. Errors: negative errno.
 */
#ifndef VMT_COLLECT_TITLE_H
#define VMT_COLLECT_TITLE_H

#include "collect/writer.h"

#include <stdint.h>

struct vmt_title_job {
	uint32_t pid; /* as the collector knows it */
	int maps_fd;  /* of the address space that made the trace: a successor's title is not its */
	uint32_t clock;
	const struct vmt_head *head; /* as it was when checked */
	uint64_t *known;	     /* of the last one: 0 to begin with, kept by the caller */
};

int vmt_title_take(const struct vmt_title_job *job, struct vmt_writer *writer);

#endif
