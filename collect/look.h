/*
 * look.h: one look at a process that is not recorded, or many, as a trace
 *
 * Reads /proc alone: the process is not stopped, nothing is put into it, and it can't tell that it
 * was looked at. The trace has one snapshot, who the process is, its threads' stacks as far as the
 * kernel tells where they are, what its Go runtime counts, its cgroup, and an end that says so
 * (VMT_STOP_SNAPSHOT). There are no calls in it. A process that is watched gets snapshots over
 * time, and an end of its own, or VMT_STOP_DETACHED.
 *
 * Leave that is needed: ptrace(2)'s PTRACE_MODE_READ, which is one's own processes', whatever
 * kernel.yama.ptrace_scope says. The counters of Go need PTRACE_MODE_ATTACH, which that restricts:
 * without it they are left out.
 *
 * A thread's stack: the list of robust mutexes (get_robust_list(2)), which the C library keeps in
 * the thread's descriptor, at the top of its stack's mapping. Single-threaded.
 */
#ifndef VMT_LOOK_H
#define VMT_LOOK_H

#include "collect/host.h"
#include "format/go.h"
#include "format/module_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_look_job {
	uint32_t pid;
	int trace_fd; /* an empty regular file, open for reading and writing; stays the caller's */
	const struct vmt_collector_host *host;
	const struct vmt_module *modules; /* the files that are loaded, where each lies */
	size_t module_count;
	const struct vmt_go *go; /* NULL: no Go runtime is known in it */
	/* NULL: one snapshot. Else the process is watched as long as this says so, which is asked
	 * at least each 100 ms, or until it ends: its RSS and snapshots as of a recorded one.
	 * Called once before anything is waited for: the file can be read from then on. */
	bool (*goes_on)(void *context);
	void *context;
};

/* 0, or negative errno: -ESRCH: the process ended or became another program meanwhile; -EACCES: no
 * leave; -ENODATA: it has no memory of its own. The file may hold anything then. */
int vmt_look_take(const struct vmt_look_job *job);

#endif
