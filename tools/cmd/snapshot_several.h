/*
 * snapshot_several.h: snapshots of several processes, and the report about all of them
 *
 * One process after another. Their traces go into a directory: the caller's, or one that is removed
 * when the report is written. Single-threaded.
 */
#ifndef VMT_SNAPSHOT_SEVERAL_H
#define VMT_SNAPSHOT_SEVERAL_H

#include "tools/cmd/snapshot_pids.h"
#include "tools/err.h"

struct vmt_snapshot_several {
	const struct vmt_snapshot_pids *pids;
	const char *directory; /* NULL: none stays */
	const char *format;    /* of the report; NULL: text */
	const char *top;       /* its rows; NULL: what the format has */
};

/* 0; 1: at least one that was named was refused, each with a line on stderr; or a negative errno.
 */
int vmt_snapshot_several_take(const struct vmt_snapshot_several *wanted, struct vmt_err *err);

#endif
