/*
 * trees.h: how does a test record a tree of processes, stop it and look at it?
 *
 * One tree runs at a time. Each wait is for a condition, a minute at most, and fails the running
 * test then. A JSON value that is returned is the caller's, one of a member is not.
 */
#ifndef VMT_TREES_H
#define VMT_TREES_H

#include "tests/e2e/living.h"

#include <limits.h>

#define TREES_LIMIT_MS 60000
#define TREES_MOST 16u

struct tree {
	char directory[PATH_MAX];
	struct conversation talk;
	pid_t pids[TREES_MOST]; /* the root first */
	size_t count;
};

/* `vmtrace record` of a program; the traces get a directory of their own in the scratch one. */
void trees_start(struct tree *tree, const char *name, const char *const program[]);
/* Closes its input and waits; the wait status. */
int trees_end(struct tree *tree);

/* A teardown: a test that fails leaves a tree that is stopped, and would stay so. Kills the one
 * that was started and has not ended, also what no pid is known of. */
int trees_kill(void **state);
/* Until it has ended: nobody may have reaped it yet. */
void trees_wait_gone(pid_t pid);

/* Skips the running test where a program is not installed. */
void trees_skip_without(const char *program);

/* Its processes: the pids in its next line and their parent; or `parent` and its children, once
 * there are so many. */
void trees_read_pids(struct tree *tree);
void trees_find_children(struct tree *tree, pid_t parent, size_t count);

/* SIGSTOP to all, until each has stopped; SIGCONT. */
void trees_stop(const struct tree *tree);
void trees_go_on(const struct tree *tree);

/* Has a snapshot taken of each: their traces are there, as they have all been forked long ago. */
void trees_look(const struct tree *tree);
/* What `vmtrace report DIRECTORY --group GROUP` says. */
json_t *trees_list(const char *directory, const char *group);
/* One of its traces; fails the test where it has none. */
json_t *trees_trace_of(json_t *root, int64_t pid);

#endif
