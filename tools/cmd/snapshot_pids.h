/*
 * snapshot_pids.h: the processes that a command line names, by their numbers
 *
 * Each once; with their descendants where these are wanted, as /proc shows them now, but for this
 * process: parents come before their children. Those that were named come first. A process that has
 * ended has no descendants, whoever has its number. Single-threaded.
 */
#ifndef VMT_SNAPSHOT_PIDS_H
#define VMT_SNAPSHOT_PIDS_H

#include "tools/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_snapshot_pids {
	uint32_t *all;
	uint64_t *starts; /* when each began, in ticks since boot; 0: not known */
	size_t count;
	size_t named; /* the others descend from these */
	size_t room;
};

/* 0, or a negative errno and a message; -EINVAL: a word is no process id. Freed by
 * vmt_snapshot_pids_free in either case. */
int vmt_snapshot_pids_read(struct vmt_snapshot_pids *pids, char *const *words, int count,
			   bool with_descendants, struct vmt_err *err);

/* Adds descendants that were born since. 0, or negative errno. */
int vmt_snapshot_pids_extend(struct vmt_snapshot_pids *pids);

void vmt_snapshot_pids_free(struct vmt_snapshot_pids *pids);

#endif
