/*
 * untraced_notes.h: notes processes without a trace in the trace of another process of their tree
 *
 * The one that forked it, if that is recorded, else its parent by its pid, else the first process.
 * Where none of them is, it is noted nowhere. Records are held for up to a second, or
 * VMT_UNTRACED_HELD of them (traced.h), and written as an UNTRACED chunk (format/untraced.h). What
 * can't be written is told by VMT_NOTE_CHILD_UNSEEN. Single-threaded, the collector's.
 */
#ifndef VMT_UNTRACED_NOTES_H
#define VMT_UNTRACED_NOTES_H

#include "collect/traced.h"

/* A record for the trace of `keeper`. */
void vmt_untraced_notes_add(struct vmt_traced *keeper, const struct vmt_untraced *record);

/* Whose child a process was. */
struct vmt_untraced_notes_kin {
	uint64_t forked_from; /* random_id; 0: it was not forked by a recorded one */
	uint32_t parent_pid;
};

/* One that is gone, and whose trace is removed. */
void vmt_untraced_notes_lost(struct vmt_shared *shared, const struct vmt_untraced *record,
			     const struct vmt_untraced_notes_kin *kin);

/* A process whose trace goes, or never had a name. end_ns: VMT_UNTRACED_RUNS while it runs. */
void vmt_untraced_notes_process(struct vmt_shared *shared, const struct vmt_traced *process,
				enum vmt_untraced_why why, uint64_t end_ns);

/* The children of a process whose trace ends, if their own may not stay: it has no name yet, or a
 * small one is removed at its end. Of one that stays, a reader finds its trace. */
void vmt_untraced_notes_children(struct vmt_shared *shared, struct vmt_traced *parent);

/* The record of a process, as far as is known by now. */
struct vmt_untraced vmt_untraced_notes_of(const struct vmt_traced *process,
					  enum vmt_untraced_why why, uint64_t end_ns);

/* Whether it has so much of its own that its memory must be in a trace, however early it ends: by
 * what was read, else by its page faults. */
bool vmt_untraced_notes_has_own(const struct vmt_traced *process);

/* Writes what is held. 0 or negative errno: then it is held on. */
int vmt_untraced_notes_flush(struct vmt_traced *keeper);

#endif
