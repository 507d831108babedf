/*
 * static_children.h: puts the recorder into static programs that recorded ones execute
 *
 * The server's side of base/exec_request.h. Who asks is seized (ptrace(2)), goes on to its exec,
 * and stands there before its first instruction; the recorder is put into it (static_start.h), and
 * it is let go. Its settings are those of its own environment: without the library among
 * LD_PRELOAD there it is left alone. One at a time, each with a bound. Who does not stop to be let
 * go (a vfork that lasts) is let go when it does. The end of the host's own children is left to the
 * host.
 *
 * Single-threaded: one thread of the host serves, and makes no other use of ptrace.
 */
#ifndef VMT_STATIC_CHILDREN_H
#define VMT_STATIC_CHILDREN_H

#include "base/session.h"
#include "inject/cut_cache.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VMT_STATIC_CHILDREN_HELD 16u

/* Who is traced until it executes. A thread that is not its process's first has that one's number
 * from its exec on. */
struct vmt_static_executor {
	pid_t pid;
	pid_t tid;
};

struct vmt_static_children {
	struct vmt_session *session;
	const unsigned char *blob;
	size_t blob_bytes;
	/* Told of each that could not be recorded. */
	void (*complain)(void *context, uint32_t pid, const char *why);
	void *context;
	/* Of the session, for programs in whose environments none is named; NULL: they do without.
	 */
	const char *session_path;
	uint64_t idle_ns;	    /* serve returns when nobody has asked for so long; 0: never */
	struct vmt_cut_cache cache; /* all zero at the beginning */
	/* Seized; to be let go at their next stop. */
	struct vmt_static_executor held[VMT_STATIC_CHILDREN_HELD];
	uint32_t held_count;
	uint32_t stop; /* set by any thread, with vmt_exec_request_wake: serve returns soon */
};

/* Until `stop`. With idle_ns also when the collector has left. The host says in the session that it
 * serves. */
void vmt_static_children_serve(struct vmt_static_children *children);

#endif
