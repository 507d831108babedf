/*
 * session_member.h: does a process share the memory of a session?
 *
 * Whoever does may write there which process wants to be traced. One that does not share it has
 * written nothing: its number may stand there because a hostile process wants it to be stopped. By
 * /proc/PID/maps, which names the file of a mapping by device and inode. Single-threaded.
 */
#ifndef VMT_SESSION_MEMBER_H
#define VMT_SESSION_MEMBER_H

#include "base/session.h"

#include <stdbool.h>
#include <sys/types.h>

/* Of a process or thread, by the kernel's id. False also where it can't be read, or has gone. */
bool vmt_session_member_is(const struct vmt_session *session, pid_t pid);

#endif
