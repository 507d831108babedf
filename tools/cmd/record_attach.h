/*
 * record_attach.h: records the calls of processes that run, and leaves them again.
 *
 * See inject/attach.h for what is done to them. One collector for all. Single-threaded.
 */
#ifndef VMT_RECORD_ATTACH_H
#define VMT_RECORD_ATTACH_H

#include "tools/cmd/record_settings.h"
#include "tools/cmd/record_summary.h"
#include "tools/cmd/snapshot_pids.h"
#include "tools/err.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_record_attach {
	struct vmt_record_settings *wanted; /* checked */
	struct vmt_snapshot_pids *pids;	    /* with_tree: grows by those that are born meanwhile */
	bool with_tree;
	uint64_t for_ns; /* UINT64_MAX: until all end, or a signal comes (stop_signals.h) */
	/* Filled in: */
	struct vmt_record_summary recorded;
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint64_t end_ns;
	uint32_t taken;	  /* processes that were recorded */
	uint32_t refused; /* of those that were named */
};

/* Says of each in one line that its calls are recorded, or why they are not. 0: that is over, of
 * `taken` processes. Negative errno and a message: nothing can be recorded at all. */
int vmt_record_attach_run(struct vmt_record_attach *job, struct vmt_err *err);

#endif
