/*
 * process.h: opens a traced process, visits it in rounds, and finishes it
 *
 * Opens an announced trace and /proc/PID beside it, visits it in rounds (drain, sample, watch for
 * the end), and finishes it: last drain, END chunk, holes where nothing is left to read.
 * Single-threaded. Errors: negative errno.
 */
#ifndef VMT_PROCESS_H
#define VMT_PROCESS_H

#include "collect/traced.h"

/* Takes up an announced trace; *process is all zeros, or was in use before. -EMFILE, -ENFILE: no
 * descriptors now, worth another try. `sparing`: none will come free, so it makes do with fewer:
 * what they were for is not looked at. */
int vmt_process_open(struct vmt_traced *process, struct vmt_shared *shared, uint32_t pid,
		     uint64_t random_id, const char *path, bool sparing);

/* The second half of that: identity, descriptors, trace and its mapping are there. And what gives
 * all of these back: the trace can't be used. */
void vmt_process_begin(struct vmt_traced *process, struct vmt_shared *shared);
void vmt_process_abandon(struct vmt_traced *process);

/* Writes what the rings hold of a process that was never seen, and that may go on, and gives it up:
 * a note says so. Where nobody has the trace mapped any more its process is over, and is finished.
 */
void vmt_process_leave_unseen(struct vmt_traced *process, struct vmt_shared *shared);

/* One round. After it the process may have become finished (state NONE) or REPLACED. `urgent`:
 * somebody asked for a round now. */
void vmt_process_visit(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns,
		       bool urgent);

/* Heartbeat and drain, no more: for use inside long work on another process, or on this one. */
void vmt_process_attend(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns);

/* Ends the recording: everything that can still be written is. */
void vmt_process_finish(struct vmt_traced *process, struct vmt_shared *shared,
			struct vmt_exit_status ending);

/* Stops watching a REPLACED process. */
void vmt_process_forget(struct vmt_traced *process);

#endif
