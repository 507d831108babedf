/*
 * jit_copy.h: which functions has the process compiled, by its own map of them?
 *
 * At each snapshot what is new of /tmp/perf-PID.map goes into the trace as JIT chunks
 * (format/jit_map.h). The file is looked up in the process's own root, by the pid of its own
 * namespace, and may be anything. No link is followed. Nothing is read that the process could not
 * read itself: only a regular file whose owner is the user by whom the process opens files ("Uid:"
 * of /proc/PID/status), readable by its owner, and on the mount that /tmp is on (from Linux 5.8 on;
 * before, mounts are not told apart). A file of root's is read where the process is root in this
 * process's user namespace. The trace has to be root's or of the map's owner: who may read it gets
 * to see the map. So much is read in a look, and so much for a trace. What the map held before the
 * trace began is another process's, and left out. No descriptor stays open between looks.
 * Single-threaded. Errors: negative errno.
 */
#ifndef VMT_COLLECT_JIT_COPY_H
#define VMT_COLLECT_JIT_COPY_H

#include "base/buffer.h"
#include "collect/writer.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_JIT_COPY_LOOK_BYTES (UINT64_C(4) << 20)
#define VMT_JIT_COPY_TRACE_BYTES (UINT64_C(64) << 20)

/* What was copied so far. All zeros to begin with. */
struct vmt_jit_copy_state {
	uint64_t device;
	uint64_t inode;	     /* 0: there was no map yet */
	uint64_t offset;     /* in the map: what is before is copied, or not to be */
	uint64_t copied;     /* bytes of the trace */
	uint64_t tail_hash;  /* of the bytes before offset */
	uint32_t tail_bytes; /* how many of them */
	bool is_full;	     /* no more is copied */
};

struct vmt_jit_copy_job {
	uint32_t pid;		     /* as the collector knows it */
	int maps_fd;		     /* of the address space that made the trace */
	const struct vmt_head *head; /* as it was when checked */
	struct vmt_buffer *scratch;
	struct vmt_jit_copy_state *state;
};

int vmt_jit_copy_take(const struct vmt_jit_copy_job *job, struct vmt_writer *writer);

#endif
