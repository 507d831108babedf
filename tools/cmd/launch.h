/*
 * launch.h: starts the recorded program and passes signals on.
 *
 * Forks and execs one command. The terminal's signals (INT, QUIT) reach the program itself and are
 * ignored here, TERM and HUP are passed on, and the program starts with the dispositions and the
 * mask that vmtrace was started with. One launch a process: signal handlers are global.
 */
#ifndef VMT_LAUNCH_H
#define VMT_LAUNCH_H

#include "tools/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VMT_LAUNCH_CANNOT_RUN 126
#define VMT_LAUNCH_NOT_FOUND 127

struct vmt_launch {
	pid_t pid;
	bool ended;
	int wait_status;	 /* where ended */
	uint64_t peak_rss_bytes; /* ... as wait4 tells it: of programs before an exec too. 0: not
				    known, as where the program waited for children: it may be
				    one's of them */
	uint64_t start_ns;	 /* CLOCK_MONOTONIC */
	uint64_t end_ns;	 /* 0: not seen to have ended */
};

/* What is done to a program at the stop of its exec, before its first instruction. Returns the
 * signal that it is to go on with, 0: none. */
typedef int vmt_launch_at_exec(void *context, pid_t pid);

/* Starts argv[0] with the present environment, by PATH; a text without #! is sh's, as execvp has
 * it. Where it can't be executed: 0, launch is ended, and *status is 126 or 127, with a message in
 * err. Negative errno on other failures. */
int vmt_launch_start(struct vmt_launch *launch, char **argv, int *status, struct vmt_err *err);

/* The same, for a program that is traced until at_exec has returned. Where it may not be traced it
 * runs all the same, and *untraced is the errno; else 0. */
int vmt_launch_start_stopped(struct vmt_launch *launch, char **argv, vmt_launch_at_exec *at_exec,
			     void *context, int *untraced, int *status, struct vmt_err *err);

/* Whether it has ended. It stays to be reaped for up to a second: as long as it is there, the
 * collector can see what it was. */
bool vmt_launch_has_ended(struct vmt_launch *launch);

/* Whether it has ended, and then it is reaped; waits for that when block is set. */
bool vmt_launch_reap(struct vmt_launch *launch, bool block);

/* Its exit status, as a shell says it: 128 + n when signal n ended it. */
int vmt_launch_status(const struct vmt_launch *launch);

#endif
