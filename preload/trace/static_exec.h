/*
 * static_exec.h: this process is about to execute a program that loads no library
 *
 * Nobody would record it: whoever serves the session (base/exec_request.h) is asked to put the
 * recorder into it. Only where a server is that knows this process by its number, the program is
 * such a file, VMTRACE_FOLLOW wants later images, and this is its process's main thread, as a fork
 * child's is. Not a file that is set-user-ID or set-group-ID or has capabilities, which who is
 * traced would not gain; such are not counted as missed. The file is opened for a moment, as
 * close-on-exec. The path may be any pointer, where it is not searched for: the kernel reads it.
 * May run in a vfork child: touches its own stack and the session alone. Another thread may be
 * about to unmap the session (retreat.h): it is visited (guard.h).
 */
#ifndef VMT_STATIC_EXEC_H
#define VMT_STATIC_EXEC_H

#include "base/session.h"

/* What is executed: a path below a directory, or an open file where path is NULL or "". */
struct vmt_static_exec {
	int directory; /* AT_FDCWD, or a descriptor */
	const char *path;
	bool searched; /* in PATH, where there is no slash in it */
};

/* NULL: nobody will come. Else to be handed back where the exec has failed. */
struct vmt_session_slot *vmt_static_exec_announce(const struct vmt_static_exec *exec);
void vmt_static_exec_failed(struct vmt_session_slot *slot);

#endif
