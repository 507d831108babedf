/*
 * running_traces.h: the traces of a directory whose processes still run.
 *
 * Looks at the head of each trace, however large the trace is, and passes over those that were
 * compressed: none of them is being written. A trace that lies there twice is one. One thread's.
 */
#ifndef VMT_RUNNING_TRACES_H
#define VMT_RUNNING_TRACES_H

#include "tools/err.h"
#include "tools/serve/quarantine.h"

#include <stddef.h>
#include <stdint.h>

struct vmt_running_trace {
	char *path;
	char *exe;
	uint32_t pid;
	uint64_t random_id; /* of the trace and of its copies; 0: of old */
	int64_t last_ns;    /* the last sign of its collector, by CLOCK_MONOTONIC */
};

struct vmt_running_traces {
	struct vmt_running_trace *all; /* by their paths */
	size_t count;
	size_t left_out; /* of those unread, by the quarantine */
	size_t unread; /* traces that can't be read, are left out, or are beyond the most files of a
			  directory */
};

/* 0, also where there is none; or a negative errno. Freed by vmt_running_traces_free in either
 * case. */
int vmt_running_traces_find(struct vmt_running_traces *traces, char *directory,
			    struct vmt_quarantine *quarantine, struct vmt_err *err);
void vmt_running_traces_free(struct vmt_running_traces *traces);

#endif
