/*
 * retain.h: decides which traces of ended processes stay
 *
 * Dropped are, at the end of their process: a trace whose process never had min_rss_bytes resident,
 * by all readings and by what the kernel told it at its exit (one that was killed stays: it was
 * told nothing); one of a fork child that ended within VMT_RETAIN_BRIEF_NS and did nothing with
 * memory; and, once there are more than max_files, the one with the smallest peak, other than the
 * first process's. Each is counted and told to the host. What stays is made small (compact.h).
 *
 * A process whose trace is removed is noted in another trace (untraced_notes.h); a fork child that
 * did nothing by calls, and has memory of its own all the same, keeps its trace.
 *
 * A file is removed only while the trace's path leads to it. Single-threaded.
 */
#ifndef VMT_RETAIN_H
#define VMT_RETAIN_H

#include "collect/traced.h"
#include "collect/untraced_notes.h"

#define VMT_RETAIN_BRIEF_NS UINT64_C(1000000000)

/* One that stays, for as long as max_files lets it. */
struct vmt_retained {
	uint64_t peak_rss_bytes;
	struct vmt_untraced record; /* should it go */
	struct vmt_untraced_notes_kin kin;
	uint64_t device;
	uint64_t inode;
	uint32_t pid;
	char path[VMT_SESSION_PATH_BYTES];
};

/* While the trace of a process that ends can still be written to: where it will stay, and another
 * one has to go for it, that one goes now, and is noted in it. */
void vmt_retain_make_room(const struct vmt_traced *process, struct vmt_shared *shared);

/* When all of a trace has been written; mapping and descriptors are still open. */
void vmt_retain_decide(const struct vmt_traced *process, struct vmt_shared *shared,
		       enum vmt_end end);

#endif
