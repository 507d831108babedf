/*
 * record_target.h: one process that runs: its calls are led to the recorder, and it is left again
 *
 * What inject/attach.h and inject/detach.h do to it, each told in one line on stderr. All by one
 * thread.
 */
#ifndef VMT_RECORD_TARGET_H
#define VMT_RECORD_TARGET_H

#include "inject/attached.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_record_target {
	uint32_t pid;
	bool wants_heap;	   /* calls of its allocator, too */
	struct vmt_attach *attach; /* large; NULL: it is not recorded */
	struct vmt_attach *forked; /* what holds for its fork children, though it was left */
	bool is_forked;		   /* is one: what `attach` names is its parent's */
	uint64_t next_try_ns;	   /* to leave it, CLOCK_MONOTONIC */
	uint32_t short_tries;	   /* to leave it, so far */
	bool has_left;		   /* or can't */
	bool is_left_mute;	   /* ... and could not be told */
	bool has_failed;	   /* to be left, once at least */
	/* A thread of it stands when it comes to a stop, until this process has ended. */
	bool is_held;
};

/* True: it is recorded. `settings` as of vmt_attach, `hint` is put behind the line that says so.
 * False: it is not, a line says why, `otherwise` is put behind it; or, with is_held, no line. */
bool vmt_record_target_take(struct vmt_record_target *target, const char *settings,
			    size_t settings_bytes, const char *hint, const char *otherwise);

/* One that has the recorder from a recorded parent, which is freed after it. False: no memory. */
bool vmt_record_target_take_forked(struct vmt_record_target *target, uint32_t pid,
				   const struct vmt_record_target *parent);

/* Where is_held is set, nothing is said. The first tries are short ones, as a thread may wait for
 * the collector: nothing is said of them either, and has_left stays false. Where it could not be
 * left, it can be tried again from next_try_ns on: signals end vmtrace by then. is_last: it will
 * not be. */
void vmt_record_target_leave(struct vmt_record_target *target, bool is_last);

/* A fork child that has a trace and may not be traced by this process. Says so in one line. */
void vmt_record_target_give_up(struct vmt_record_target *target, uint32_t pid);

/* Says in one line that a thread of it is held. */
void vmt_record_target_say_held(const struct vmt_record_target *target);

void vmt_record_target_free(struct vmt_record_target *target);

#endif
