/*
 * snapshot_take.h: takes a snapshot of a running process, or says in one line why not
 *
 * See collect/look.h for what is read, and that nothing is changed. Single-threaded.
 */
#ifndef VMT_SNAPSHOT_TAKE_H
#define VMT_SNAPSHOT_TAKE_H

#include "tools/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether one can be taken now. 0, or a negative errno and a message. */
int vmt_snapshot_take_check(uint32_t pid, struct vmt_err *err);

/* Writes the trace of one snapshot into an empty file, which stays the caller's. 0, or a negative
 * errno and a message. */
int vmt_snapshot_take_write(uint32_t pid, int trace_fd, struct vmt_err *err);

/* How a process is watched: collect/look.h and host.h say more of each. */
struct vmt_snapshot_watch {
	bool (*goes_on)(void *context);
	void *context;
	uint64_t interval_ns;
	uint64_t max_bytes;
	uint32_t residency_source;
};

/* Watches the process, as long as goes_on says so or until it ends. */
int vmt_snapshot_take_watch(uint32_t pid, int trace_fd, const struct vmt_snapshot_watch *watch,
			    struct vmt_err *err);

/* The same as write into a file of that name, which takes another's place only when it is whole. */
int vmt_snapshot_take_file(uint32_t pid, const char *path, struct vmt_err *err);

/* The same into a file that has no name. Its descriptor, or a negative errno and a message. */
int vmt_snapshot_take_nameless(uint32_t pid, struct vmt_err *err);

#endif
