/*
 * worker_reader.h: the process that reads, from within.
 *
 * Internal to worker.c. It has standard input (nothing), output (nothing), standard error, its
 * control socket and what its job opens. One thread's.
 */
#ifndef VMT_WORKER_READER_H
#define VMT_WORKER_READER_H

#include "tools/serve/worker_job.h"

#include <stddef.h>
#include <sys/types.h>

/* One byte on the control socket, once an answer is written. */
enum vmt_worker_verdict {
	VMT_WORKER_VERDICT_DONE,
	VMT_WORKER_VERDICT_ABSENT,
	VMT_WORKER_VERDICT_FAILED,
	VMT_WORKER_VERDICT_LOST, /* the child was not begun; plus n: it was killed by signal n */
};

struct vmt_worker_reader {
	const struct vmt_worker_job *job;
	struct vmt_worker_limits limits;
	pid_t parent;
};

/* Answers questions until there is nobody to ask any. */
__attribute__((noreturn)) void vmt_worker_reader_run(const struct vmt_worker_reader *reader,
						     int control);

/* Of the other side: sends a question, and where its answer goes. False: nobody is there. */
bool vmt_worker_reader_ask(int control, const void *question, size_t bytes, int answer);

#endif
