/*
 * outside_trace.h: records a process that never called a hook
 *
 * A fork child has its parent's trace mapped until it opens one of its own, which its first call of
 * a hook does. For one that calls none the collector makes a trace by itself: a head with what is
 * known of the parent, the files and the memory that the child inherited, then snapshots and an end
 * as in any trace. There are no call sites in it.
 *
 * The file has no name at first (O_TMPFILE, or a hidden name where the file system has none): it
 * gets one when the process has lived for VMT_RETAIN_BRIEF_NS, or for a tenth of it with memory of
 * its own (untraced_notes.h). A process that opens a trace of its own before that has that one
 * alone; one that does so later has two, and the first says so. The process takes no part in any of
 * this. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_OUTSIDE_TRACE_H
#define VMT_OUTSIDE_TRACE_H

#include "collect/traced.h"

/* Whether a child of `parent` may run its parent's program still: 0, and then also when it started.
 * -ESRCH: it has ended. -ENOEXEC: it runs another program, or did so at its end. Other errors: that
 * can't be told now. Costs little. */
int vmt_outside_trace_ask(const struct vmt_traced *parent, uint32_t pid, uint64_t *start_ticks);

/* Takes up a child of `parent`, into an entry that is free. -ESRCH: it has ended. -ENOEXEC: there
 * is nothing to be taken up, as it runs another program, or has a trace of its own. -EMFILE,
 * -ENFILE: no descriptors now. Anything else: it can't be recorded. The entry is free again after
 * all of these. */
int vmt_outside_trace_open(struct vmt_traced *process, struct vmt_shared *shared,
			   const struct vmt_traced *parent, uint32_t pid);

/* Gives the file its name where the process has lived long enough by now, and tells the host. */
void vmt_outside_trace_publish(struct vmt_traced *process, const struct vmt_shared *shared);

/* Ends the recording, as the process has a trace of its own now. */
void vmt_outside_trace_hand_over(struct vmt_traced *process, struct vmt_shared *shared);

#endif
