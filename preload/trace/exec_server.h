/*
 * exec_server.h: who puts the recorder into static programs that preloaded ones execute
 *
 * The collector of a bare preload starts a child of its own when somebody asks
 * (base/exec_request.h). That one serves (inject/static_children.h), and ends when nobody has asked
 * for two seconds, or the collector has left. A filter of system calls that kills for ptrace, or a
 * hostile program's file, ends that child and not the collector. It has no exit signal, and holds
 * no descriptor and no file but the library's and the session's. Killed, it leaves who it traces
 * running; only in the milliseconds of inject/static_start.h a program ends with it.
 *
 * One that a filter has killed, or that has failed three times, is not started again, and nobody
 * asks any more. Single-threaded, the collector's; raw system calls alone. x86-64 alone.
 */
#ifndef VMT_EXEC_SERVER_H
#define VMT_EXEC_SERVER_H

#include "base/session.h"

#include <stdint.h>

struct vmt_exec_server {
	struct vmt_session *session;
	const char *library; /* this library's file */
	uint32_t pid;	     /* of the child; 0: there is none */
	uint32_t failures;
	char session_path[VMT_SESSION_PATH_BYTES]; /* by which later images find it */
};

/* session_path NULL: the session is this process's descriptor `session_fd`. */
void vmt_exec_server_begin(struct vmt_exec_server *server, struct vmt_session *session,
			   const char *session_path, int session_fd);

/* Host's: looks whether one is wanted, and whether it has ended. */
void vmt_exec_server_attend(void *server);

/* When the collector has left: waits until it has ended. */
void vmt_exec_server_end(struct vmt_exec_server *server);

#endif
