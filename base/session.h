/*
 * session.h: how processes of a tree announce themselves to their collector
 *
 * One small file a process tree, mapped MAP_SHARED by every traced process (inherited over fork,
 * named by VMTRACE_SESSION over exec) and by the collector. It has no name of its own: the
 * collector keeps it open, and it is named by that descriptor in /proc. So nothing can stay of it.
 * Where that can't be, and under the vmtrace command, it is a file beside the traces, which is
 * unlinked when the tree has ended. A process that opened a trace claims a slot, writes the trace's
 * path, and says READY; the collector opens the trace and says FREE again.
 *
 * Slot states: FREE -> (CAS, writer) CLAIMED -> (release store, writer) READY
 *                   -> (release store, collector) FREE.
 * A writer killed while CLAIMED leaves its slot so; its pid lets the collector free it.
 */
#ifndef VMT_SESSION_H
#define VMT_SESSION_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_SESSION_MAGIC "VMTSESS"
#define VMT_SESSION_VERSION 12u
#define VMT_SESSION_SLOTS 240u
#define VMT_SESSION_BACKED 2u /* slots of a nameless one with memory from the start: a page */
#define VMT_SESSION_PATH_BYTES 1264u
#define VMT_SESSION_PARTED 16u
#define VMT_SESSION_FORKS 64u
#define VMT_SESSION_NAMES 8u
#define VMT_SESSION_NAME_BYTES 60u
#define VMT_SESSION_MISSED 16u
#define VMT_SESSION_ENV "VMTRACE_SESSION"

/* Those behind READY are of a slot that asks for something else: exec_request.h. */
enum vmt_session_state {
	VMT_SESSION_FREE,
	VMT_SESSION_CLAIMED,
	VMT_SESSION_READY,
	VMT_SESSION_EXEC_WANTED,
	VMT_SESSION_EXEC_REFUSED,
	VMT_SESSION_EXEC_SEIZED,
	VMT_SESSION_EXEC_FAILED,
	VMT_SESSION_EXEC_BARRED,
};

/* Who puts the recorder into programs that load no library: exec_request.h. */
enum vmt_session_exec_server {
	VMT_SESSION_SERVER_NONE,
	VMT_SESSION_SERVER_RUNS,      /* in the collector's process */
	VMT_SESSION_SERVER_ON_DEMAND, /* the collector starts one for who wakes it */
	VMT_SESSION_SERVER_FAILED,    /* the collector starts none any more */
};

struct vmt_session_slot {
	uint32_t state; /* enum vmt_session_state */
	uint32_t pid;
	union {
		uint64_t random_id; /* of the trace */
		struct {
			uint32_t thread; /* that asks */
			uint32_t spawns; /* 1: its child will execute; 0: it does so itself */
		} exec;
	};
	char path[VMT_SESSION_PATH_BYTES];
};

/* A program that VMTRACE_ONLY left out. The same states, but that what is READY stays. */
struct vmt_session_name {
	uint32_t state;
	char name[VMT_SESSION_NAME_BYTES]; /* cut, zeros behind */
};

struct vmt_session {
	char magic[8];
	uint32_t version;
	uint32_t collector_pid;
	uint64_t heartbeat_ns; /* collector: CLOCK_MONOTONIC of its last round */
	uint32_t wake;	       /* futex word: bumped by targets that want a round now */
	uint32_t traces;       /* announced so far */
	uint64_t refused;      /* announcements that found no slot */
	uint64_t dropped;      /* traces that were removed at their end, by whomever */
	uint32_t slots_used;   /* slots beyond were never claimed; raised before a claim */
	uint32_t over;	       /* collector: it has left, or could not begin */
	/* Of an earlier trace whose name the first whole one takes, swapped to 0 by who does; 0 =
	 * nothing is replaced. */
	uint64_t replaced_inode;
	uint32_t crowded; /* collector: some announcement must wait until others have ended */
	/* Collector: traces, by random_id, that it closed before their processes' ends. */
	uint64_t parted[VMT_SESSION_PARTED];
	/* Of children without a trace: of which traced process, by its pid << 32 | the child that
	 * was forked. 0: free. */
	uint64_t forks[VMT_SESSION_FORKS];
	uint32_t left_out; /* images that VMTRACE_ONLY does not name; the first names of them: */
	struct vmt_session_name names[VMT_SESSION_NAMES];
	uint32_t held_by; /* who keeps a nameless one open, by its number in /proc; 0 = not known */
	uint32_t backed;  /* slots whose memory was there from the start; 0 = all */
	/* Of who made it, in which its collector knows processes by their numbers; 0 = not known.
	 */
	uint64_t pid_namespace;
	uint32_t exec_server;  /* enum vmt_session_exec_server */
	uint32_t exec_wake;    /* futex word: bumped by who wants that */
	uint32_t execs_missed; /* programs for which it was not done in time */
	uint32_t exec_said;    /* 1: one of them had a line on standard error */
	/* Who executed such a program that is not recorded, until the collector has noted it; 0:
	 * free. */
	uint32_t missed[VMT_SESSION_MISSED];
	uint32_t missed_unnamed; /* how many more, who found no entry free */
	_Alignas(256) struct vmt_session_slot slots[VMT_SESSION_SLOTS];
};

_Static_assert(sizeof(struct vmt_session_slot) == 1280, "session slots are 1280 bytes");
_Static_assert(sizeof(struct vmt_session_name) == 64, "names in a session are 64 bytes");
_Static_assert(offsetof(struct vmt_session, slots[VMT_SESSION_BACKED]) <= 4096,
	       "what a nameless session begins with is a page");

/* Makes a session file (mode 0600, O_EXCL) and maps it. Negative errno on failure. */
int vmt_session_create(const char *path, struct vmt_session **session);
/* The same where files can be mapped when the traces' place has none (shm_fallback.h); fills the
 * path. */
int vmt_session_create_aside(char *path, size_t room, uint32_t pid, uint64_t random_id,
			     struct vmt_session **session);
/* One without a name. Maps it and gives its descriptor (close-on-exec), or negative errno. Only its
 * beginning has memory; a slot gets its own when it is first claimed. */
int vmt_session_create_nameless(struct vmt_session **session);
/* By which path others find a nameless one that a process holds by a descriptor; false: no room. */
bool vmt_session_path_of(char *path, size_t room, uint32_t pid, int fd);
/* Notes a program that VMTRACE_ONLY leaves out: counted always, its name kept while there is room.
 * Async-signal-safe. */
void vmt_session_leave_out(struct vmt_session *session, const char *name);
/* A slot for oneself, CLAIMED; NULL: none is free. */
struct vmt_session_slot *vmt_session_claim(struct vmt_session *session);
/* Frees the slot of `pid`. False: it is no longer that one's, as somebody else has freed it. */
bool vmt_session_release(struct vmt_session_slot *slot, uint32_t pid);
/* Maps an existing one; checks it. vmt_session_view: an open one, whose descriptor stays open. */
int vmt_session_attach(const char *path, struct vmt_session **session);
int vmt_session_view(int fd, struct vmt_session **session);
/* Target: announces a trace by its absolute path (the collector's directory is another). The slot
 * that says so, or NULL when none was free or the path is too long: nobody will collect it. */
const struct vmt_session_slot *vmt_session_announce(struct vmt_session *session, uint32_t pid,
						    uint64_t random_id, const char *path);
/* Target: whether the announcement still waits for the collector. Acquires what it did before. */
bool vmt_session_is_announced(const struct vmt_session_slot *slot, uint64_t random_id);
/* Collector: it has closed a trace whose process waits for its last snapshot. Target: has it? */
void vmt_session_part(struct vmt_session *session, uint64_t random_id);
bool vmt_session_has_parted(struct vmt_session *session, uint64_t random_id);
/* Target: who has its mappings from a traced parent, and no trace of its own, has forked. The
 * collector takes the entry; it may be taken back until then (false: too late). NULL: none is free.
 * Async-signal-safe. */
uint64_t *vmt_session_tell_fork(struct vmt_session *session, uint32_t parent, uint32_t child);
bool vmt_session_take_fork(uint64_t *entry, uint64_t fork);
/* Collector: slots beyond this many hold nothing. */
uint32_t vmt_session_slots_used(const struct vmt_session *session);
/* Target: asks for a round now. */
void vmt_session_wake(struct vmt_session *session);

#endif
