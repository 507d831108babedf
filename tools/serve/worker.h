/*
 * worker.h: work that reads untrusted files, in processes of its own.
 *
 * A reader stays from one question to the next and keeps what it read. For each answer it makes a
 * child, which writes the answer into a pipe. Reader and child have no descriptors of this process
 * but standard error, write no file, and have bounded memory; a child has bounded CPU time too.
 * Both are killed with all that they started when an answer takes too long or becomes too large,
 * and when this process ends; the next question starts another reader then. A child that is lost
 * costs its answer alone. One thread's: fork copies the caller.
 */
#ifndef VMT_WORKER_H
#define VMT_WORKER_H

#include "tools/serve/worker_job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vmt_worker {
	const struct vmt_worker_job *job;
	struct vmt_worker_limits limits;
	pid_t pid;   /* the reader; 0: none runs */
	int control; /* a socket: questions to it, verdicts from it */
	bool is_asked;
	int fd;		     /* the answer, not blocking; -1: it is written */
	int64_t deadline_ns; /* by CLOCK_MONOTONIC */
	unsigned char *bytes;
	size_t length;
	size_t room;
	int lost_by; /* VMT_WORKER_LOST: the signal; 0: it wrote too much, or was not begun */
};

enum vmt_worker_state {
	VMT_WORKER_RUNS,
	VMT_WORKER_DONE,   /* bytes[0..length) are the answer */
	VMT_WORKER_ABSENT, /* the job returned -ENOENT; bytes are its message */
	VMT_WORKER_FAILED, /* the job failed; bytes are its message */
	VMT_WORKER_LOST,   /* the reader or its child was killed; there are no bytes */
};

/* The job outlives the worker. */
void vmt_worker_begin(struct vmt_worker *worker, const struct vmt_worker_limits *limits,
		      const struct vmt_worker_job *job);

/* Asks, while nothing is asked; starts a reader where there is none. At most
 * VMT_WORKER_QUESTION_BYTES. 0 or a negative errno with a message. */
int vmt_worker_ask(struct vmt_worker *worker, const void *question, size_t bytes,
		   struct vmt_err *err);

/* What to poll for input while something is asked. */
int vmt_worker_fd(const struct vmt_worker *worker);

/* Takes what there is of the answer, and sees to the deadline. Never blocks while the child runs.
 * Once nothing is asked any more, bytes are the caller's to free. */
enum vmt_worker_state vmt_worker_step(struct vmt_worker *worker);

/* Kills the reader, if it runs, with all that it keeps, and frees bytes. */
void vmt_worker_stop(struct vmt_worker *worker);

#endif
