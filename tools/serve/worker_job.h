/*
 * worker_job.h: what a worker does, and within which bounds. Data alone.
 */
#ifndef VMT_WORKER_JOB_H
#define VMT_WORKER_JOB_H

#include "tools/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define VMT_WORKER_QUESTION_BYTES 4096u

struct vmt_worker_limits {
	uint64_t memory_bytes; /* beyond what this process has */
	uint64_t output_bytes;
	unsigned seconds; /* of the clock for an answer; its child has twice as many of CPU */
};

/* 0 or a negative errno with a message, which takes the answer's place. */
struct vmt_worker_job {
	void *context; /* the reader has a copy, in which what it changes stays */
	/* In the reader; ask no more than a half of the time. NULL: nothing is read. */
	int (*read)(void *context, const void *question, struct vmt_err *err);
	/* Likewise, before (true) and after (false) the child is made. NULL: nothing to do. */
	void (*fork)(void *context, bool with_it);
	/* In the child. */
	int (*write)(void *context, FILE *out, struct vmt_err *err);
};

#endif
