/*
 * hooks_process.h: what the process hooks share, and look up before the first of them runs
 *
 * Look-ups by dlsym, which may not happen in the hooks themselves: a thread may be created while
 * another holds the loader's lock and waits for it.
 */
#ifndef VMT_HOOKS_PROCESS_H
#define VMT_HOOKS_PROCESS_H

#include "capture/entry/exec_call.h"

#include <stdbool.h>
#include <stdint.h>

/* In the constructor, once next definitions can be looked up. Without it thread descriptors have a
 * usual size and stacks of default attributes are written with length 0. */
void vmt_hooks_process_set_up(void);

/* Around a call of the exec family (capture/entry/exec_call.h). Nothing may be
 * left inside a hook, nor anything else of a child in thread state: an exec that succeeds never
 * comes back to end. Keeps errno. */
struct vmt_hooks_exec {
	struct vmt_exec_call call;
	uint32_t no_syscalls; /* of the thread */
};
struct vmt_hooks_exec vmt_hooks_process_begin_exec(const struct vmt_static_exec *what,
						   const void *frame);
void vmt_hooks_process_end_exec(const struct vmt_hooks_exec *exec, int error, const void *frame);

/* The last that a vfork child does: the thread state is its parent's again. */
void vmt_hooks_process_give_back(void);

/* Before a clone: a child that will use this thread's state while this thread does can't be told
 * from it (threads_inside.h). A child in a mount namespace of its own opens its trace in this one's
 * (recording.h). */
void vmt_hooks_process_clone(uint64_t flags);

/* Before the process enters other namespaces of these kinds (CLONE_NEW...): opens the trace of a
 * fork child that has none yet, where mounts are among them. Keeps errno. */
void vmt_hooks_process_change_mounts(uint64_t kinds);

#endif
