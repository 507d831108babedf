/*
 * record_attach.h: records the calls of processes that run, and leaves them again.
 *
 * See inject/attach.h for what is done to them. Single-threaded.
 */
#ifndef VMT_RECORD_ATTACH_H
#define VMT_RECORD_ATTACH_H

#include "tools/cmd/record_settings.h"
#include "tools/cmd/record_summary.h"
#include "tools/err.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_record_attach {
	struct vmt_record_settings *wanted; /* checked */
	uint32_t pid;
	uint64_t for_ns; /* UINT64_MAX: until it ends, or a signal comes (stop_signals.h) */
	/* Filled in: */
	struct vmt_record_summary recorded;
	uint64_t lasted_ns;
};

/* Says in one line that its calls are recorded, or why they are not. *done: they were, and that is
 * over. Negative errno and a message: nothing can be recorded at all. */
int vmt_record_attach_run(struct vmt_record_attach *job, bool *done, struct vmt_err *err);

#endif
