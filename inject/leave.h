/*
 * leave.h: takes the recorder out of a program again, step by step
 *
 * Each with all threads of the program stopped. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_LEAVE_H
#define VMT_LEAVE_H

#include "inject/attached.h"
#include "inject/remote_call.h"

/* Puts back the bytes of the program that jumps were written over, wherever the jumps still lie.
 * Whoever is in the recorder goes on behind its system call, as ever. */
int vmt_leave_undo(const struct vmt_attach *attach, const struct vmt_target *target);

/* Whether any thread is in the recorder. Negative errno, 0, or 1. */
int vmt_leave_is_in_use(const struct vmt_attach *attach, const struct vmt_target *target,
			const struct vmt_stopped_threads *threads);

/* Ends the recording, by guarded calls. is_quiet: no thread is in the recorder, so that all of its
 * memory goes. 1: nothing is left of it in the process; 0: its mappings are. */
int vmt_leave_unmap(struct vmt_attach *attach, struct vmt_remote *remote, bool is_quiet);

#endif
