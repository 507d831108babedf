/*
 * static_exec.h: this process is about to execute a program that loads no library
 *
 * Nobody would record it: whoever serves the session (base/exec_request.h) is asked to put the
 * recorder into it. Only where a server is that knows this process by its number, the program is
 * such a file or a script that one of them runs, and VMTRACE_FOLLOW wants later images. Any thread
 * may ask, also for a vfork child that it is about to make. Not a file that is set-user-ID or
 * set-group-ID or has capabilities, which who is traced would not gain; such are not counted as
 * missed. The file is opened for a moment, as close-on-exec. The path may be any pointer, where it
 * is not searched for: the kernel reads it. May run in a vfork child: touches its own stack and the
 * session alone. Another thread may be about to unmap the session (retreat.h): it is visited
 * (guard.h).
 */
#ifndef VMT_STATIC_EXEC_H
#define VMT_STATIC_EXEC_H

#include "base/session.h"

#include <stdbool.h>

#define VMT_STATIC_EXEC_PATH_BYTES 4096u /* PATH_MAX */

/* What is executed: a path below a directory, or an open file where path is NULL or "". */
struct vmt_static_exec {
	int directory; /* AT_FDCWD, or a descriptor */
	const char *path;
	/* Where a name without a slash is looked for, as libc does it: the first that may be
	 * executed. False: there is none. NULL: nowhere. */
	bool (*search)(const char *name, char path[VMT_STATIC_EXEC_PATH_BYTES]);
	bool spawns; /* a vfork child of this thread will execute it */
};

/* NULL: nobody will come. Else to be handed back where the exec has failed. */
struct vmt_session_slot *vmt_static_exec_announce(const struct vmt_static_exec *exec);
void vmt_static_exec_failed(struct vmt_session_slot *slot);

/* What announce gave, for who could not keep it. */
struct vmt_session_slot *vmt_static_exec_find(void);

#endif
