/*
 * fork_children.h: finds fork children that have no trace of their own and live on
 *
 * A parent's FORK event names its child. One that is still there a little later, runs its parent's
 * program and has opened no trace, is taken up by outside_trace.h. So a fork costs nothing but its
 * event, and a child that executes something, ends soon or calls a hook costs a look at its stat.
 *
 * A child that forks before it has a trace tells of it in the session: its own child is looked
 * after in the same way, as one of the traced process from which both have their mappings.
 *
 * One that has ended by then, without a trace, is noted in its parent's trace (untraced_notes.h).
 * A child that can't be recorded so (no leave to read its /proc, no descriptors, a trace on another
 * file system than the first) is noted there with what one look tells (and VMT_NOTE_CHILD_UNSEEN).
 * Children made by a system call that no hook sees, and those of a process in another pid
 * namespace, are not known here. Single-threaded.
 */
#ifndef VMT_FORK_CHILDREN_H
#define VMT_FORK_CHILDREN_H

#include "collect/traced.h"

#define VMT_FORK_CHILDREN_KEPT 64u

struct vmt_fork_children {
	struct vmt_shared *shared;
	/* Of the collector: an entry that is free, or NULL; whether one is taken by a process. */
	struct vmt_traced *(*free_entry)(void *context);
	bool (*is_known)(void *context, uint32_t pid, uint64_t start_ticks);
	struct vmt_traced *(*with_pid)(void *context, uint32_t pid); /* NULL: none has it */
	void *context;
	struct vmt_buffer queue; /* struct vmt_fork_child, the earliest first */
	uint32_t first;
	uint32_t end;
	struct {
		uint64_t parent_start_ticks;
		uint32_t pid;
	} last[VMT_FORK_CHILDREN_KEPT];
	uint32_t noted;
};

/* A process has forked, at a time of the monotonic clock. Safe to be called while its events are
 * drained. */
void vmt_fork_children_note(struct vmt_fork_children *children, struct vmt_traced *parent,
			    uint32_t pid, uint64_t fork_ns);

/* Notes the forks that the session tells of. Those of a parent that is not known are left there:
 * who told of them takes them back. */
void vmt_fork_children_note_told(struct vmt_fork_children *children);

/* Looks at those whose time has come. */
void vmt_fork_children_visit(struct vmt_fork_children *children);

/* Looks at all children of one that ends now, while its trace is there to tell them by. NULL: no
 * children. */
void vmt_fork_children_settle(struct vmt_fork_children *children, const struct vmt_traced *parent);

/* When the next is due, on the monotonic clock; UINT64_MAX: none. */
uint64_t vmt_fork_children_due_ns(const struct vmt_fork_children *children);

/* Whether one of the last children runs, and may announce a trace. A process that began before the
 * parent is none of them: the pid is one of another pid namespace, or has another owner. */
bool vmt_fork_children_are_running(const struct vmt_fork_children *children);

#endif
