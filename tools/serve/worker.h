/*
 * worker.h: work that reads untrusted files, in a process of its own.
 *
 * A child does the work and writes its result into a pipe. It has no other descriptor than that
 * pipe and standard error, writes no file, has bounded memory and CPU time, and is killed with all
 * that it started when its time is over, when it has written too much, or when this process ends.
 * One thread's: fork copies the caller.
 */
#ifndef VMT_WORKER_H
#define VMT_WORKER_H

#include "tools/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct vmt_worker_limits {
	uint64_t memory_bytes; /* beyond what this process has */
	uint64_t output_bytes;
	unsigned seconds; /* of the clock, and of CPU */
};

struct vmt_worker {
	pid_t pid;	     /* 0: none runs */
	int fd;		     /* its result, not blocking; to be polled for input */
	int64_t deadline_ns; /* by CLOCK_MONOTONIC */
	uint64_t most_bytes;
	unsigned char *bytes;
	size_t length;
	size_t room;
};

enum vmt_worker_state {
	VMT_WORKER_RUNS,
	VMT_WORKER_DONE,   /* bytes[0..length) are the result */
	VMT_WORKER_ABSENT, /* work returned -ENOENT; bytes are its message */
	VMT_WORKER_FAILED, /* work failed; bytes are its message, or none where it was killed */
};

/* Work writes its result to out. 0 or a negative errno with a message, which takes the result's
 * place. */
typedef int vmt_worker_work(void *context, FILE *out, struct vmt_err *err);

/* 0 or a negative errno with a message. */
int vmt_worker_start(struct vmt_worker *worker, const struct vmt_worker_limits *limits,
		     vmt_worker_work *work, void *context, struct vmt_err *err);

/* Takes what there is of the result, and sees to the deadline. Never blocks while it runs. Once it
 * has ended, bytes are the caller's to free. */
enum vmt_worker_state vmt_worker_step(struct vmt_worker *worker);

/* Kills it, if it runs, and frees bytes. */
void vmt_worker_stop(struct vmt_worker *worker);

#endif
