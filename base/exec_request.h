/*
 * exec_request.h: who is about to execute a program that loads no library asks for the recorder
 *
 * By a slot of the session (session.h), whose states are
 *
 *     WANTED -> (server) SEIZED -> (asker, where the exec failed) FAILED -> (server) FREE
 *            -> (server) REFUSED -> (asker) FREE
 *            -> (server) BARRED -> (asker, who has named the collector) WANTED
 *            -> (asker, whose patience is over) FREE
 *
 * The server traces the asker's thread from SEIZED on, until its exec, its child's, or FAILED. A
 * dead asker's slot is the collector's to free. Nobody waits without a bound. Thread and signal
 * safe; the asker's part makes system calls and touches no memory but its stack and the session.
 *
 * Where Yama lets a process be traced by its ancestors alone, the server says BARRED. The asker
 * names the collector as who may trace it, too (PR_SET_PTRACER, prctl(2)), which means the
 * collector's descendants as well (task_is_descendant in security/yama/yama_lsm.c), and asks once
 * more. Whatever comes of it, it takes the name back: who traces already needs none.
 */
#ifndef VMT_EXEC_REQUEST_H
#define VMT_EXEC_REQUEST_H

#include "base/session.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether somebody may answer, and whether nobody does although somebody should. */
bool vmt_exec_request_is_served(const struct vmt_session *session);
bool vmt_exec_request_has_no_server(const struct vmt_session *session);

/* A thread of a process, by the kernel's ids. */
struct vmt_exec_asker {
	uint32_t pid;
	uint32_t thread;
	bool spawns; /* a vfork child that it is about to make will execute */
};

/* Asker: the slot when its thread has been seized; NULL: it will not be, which is counted
 * and noted. */
struct vmt_session_slot *vmt_exec_request_make(struct vmt_session *session,
					       const struct vmt_exec_asker *asker,
					       uint64_t patience_ns);
/* What make gave this thread, unless the server has let it go since; else NULL. */
struct vmt_session_slot *vmt_exec_request_find(struct vmt_session *session,
					       const struct vmt_exec_asker *asker);
/* Nothing, where the server has let it go before and the slot is another's. */
void vmt_exec_request_fail(struct vmt_session *session, struct vmt_session_slot *slot,
			   const struct vmt_exec_asker *asker);

/* Server: the next slot that asks; NULL: none. */
struct vmt_session_slot *vmt_exec_request_next(struct vmt_session *session);
/* False: the asker has given up. */
bool vmt_exec_request_answer(struct vmt_session_slot *slot, enum vmt_session_state answer);
bool vmt_exec_request_has_failed(const struct vmt_session_slot *slot);
/* What `pid` asked for is over. Nothing, where the collector has freed the slot meanwhile. */
void vmt_exec_request_free(struct vmt_session_slot *slot, uint32_t pid);
/* Sleeps until somebody asks, or exec_wake is bumped otherwise, or for so long. */
void vmt_exec_request_await(struct vmt_session *session, uint32_t seen, uint64_t longest_ns);
void vmt_exec_request_wake(struct vmt_session *session);

/* A process has executed, or is about to, such a program that is not recorded. note: to be told in
 * a trace; where there is no room for its number, without that. count: and in the number of all. */
void vmt_exec_request_note_missed(struct vmt_session *session, uint32_t pid);
void vmt_exec_request_count_missed(struct vmt_session *session, uint32_t pid);
/* Collector: one of those noted; 0: none is left. */
uint32_t vmt_exec_request_take_missed(struct vmt_session *session);
/* Collector: how many were noted without a number, at most so many; the others stay. */
uint32_t vmt_exec_request_take_unnamed(struct vmt_session *session, uint32_t most);

#endif
