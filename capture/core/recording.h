/*
 * recording.h: the trace of this process image, as it is mapped
 *
 * Ordinary data, inherited by fork. Set up by one thread before the guard says RECORDING
 * (vmt_guard_begin_recording orders it); constant afterwards but for what is said of a member.
 */
#ifndef VMT_RECORDING_H
#define VMT_RECORDING_H

#include "base/session.h"
#include "format/head.h"
#include "format/stack_table.h"

#include <stdint.h>

struct vmt_recording {
	uint32_t malloc_mode;	   /* enum vmt_malloc_mode; OFF until recording begins, atomic */
	uint32_t stack_mode;	   /* enum vmt_stack_mode */
	uint32_t execs;		   /* threads that are about to exec, atomic */
	uint32_t awaits_collector; /* 1: the first call waits for it (open.h), atomic */
	uint32_t shard_mask;	   /* shards - 1 */
	uint64_t random_id;	   /* the head's */
	struct vmt_head *head;	   /* mapped while recording: use it inside, or held */
	uint64_t head_mapped_bytes;
	uint64_t stack_start; /* field 28 of /proc/PID/stat */
	bool is_filtered; /* by seccomp before the start: a call that others don't make may kill */
	struct vmt_ring_view rings[VMT_MAX_SHARDS][VMT_RING_CLASSES];
	struct vmt_stack_table stacks;
	struct vmt_session *session;	     /* NULL: nobody collects */
	const struct vmt_session_slot *slot; /* of the announcement; NULL: not yet announced */
	char trace_path[VMT_SESSION_PATH_BYTES];
	/* A process that makes children in mount namespaces of their own, by its own number,
	 * atomic; 0 = none so far. */
	uint32_t mounts_of;
};

extern struct vmt_recording vmt_recording;

#endif
