/*
 * tasks.h: lists the threads that a process has now
 *
 * Reads /proc/PID/task and appends the threads' kernel ids as one TASKS chunk. Its time is
 * taken before the list is read: a thread that began before it and is not in the list has ended.
 * A list that is not sure to be whole is not written: while threads end the kernel may leave out
 * others (fs/proc/base.c, proc_task_readdir), so it is read until it has as many as the process
 * has by its stat. Nor is one without the process's own id as it knows it: that is of another pid
 * namespace than the events' ids. Single-threaded. Errors: negative errno; -EAGAIN: never whole.
 */
#ifndef VMT_COLLECT_TASKS_H
#define VMT_COLLECT_TASKS_H

#include "base/buffer.h"
#include "collect/writer.h"

#include <stdint.h>

struct vmt_tasks_job {
	uint32_t pid;	  /* as the collector knows it */
	uint32_t own_pid; /* as the process knows it */
	int stat_fd;	  /* of /proc/PID/stat */
	uint32_t clock;
	struct vmt_buffer *scratch;
};

/* The kernel ids of the threads of a process, as far as one reading shows them: uint32_t at the
 * scratch's start. */
int vmt_tasks_read(uint32_t pid, struct vmt_buffer *scratch, uint32_t *count);

int vmt_tasks_take(const struct vmt_tasks_job *job, struct vmt_writer *writer);

#endif
