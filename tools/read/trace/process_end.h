/*
 * process_end.h: how the traced process ended.
 *
 * Three may have said it, and the best informed is believed: the collector's END chunk, what the
 * collector wrote into the head (it died before it could append the chunk), what the process said
 * itself on its way out. Where nobody has, and the process (pid with the same start time, of the
 * same boot) is there, it is running. A process that has called exec is "exec" although its pid
 * lives on. "ending" is not there, and its collector has not said how it ended: it soon
 * will, or the process lives in another pid namespace. "stopped" is one
 * whose recording was given up while the process went on (capture/record/retreat.h), to an end that
 * nobody saw. "cut" is a trace that just stops: killed together with its collector, or without one,
 * or ended in a way that was not to be learnt.
 */
#ifndef VMT_PROCESS_END_H
#define VMT_PROCESS_END_H

#include "format/chunk.h"
#include "format/head.h"

#include <stdbool.h>

/* Whether the process is not seen, and its collector has not written how it ended, but lives, or
 * wrote a moment ago where it is not seen either, and soon may. */
bool vmt_process_end_is_awaited(const struct vmt_head *head);

/* Whether the process's collector counted pids in another namespace than this process does, so that
 * neither of the two is to be looked for by its number. */
bool vmt_process_end_is_elsewhere(const struct vmt_head *head);

/* Whether the machine has not been started anew since, and is the same. A head that has no boot id
 * (all zero) fits any boot. */
bool vmt_process_end_is_this_boot(const struct vmt_head *head);

/* Whether somebody has the process's number, of whom this /proc shows nothing (hidepid=). */
bool vmt_process_end_is_hidden(const struct vmt_head *head);

/* Whether a process that runs has no collector any more, or one that does not answer: what it does
 * is no longer looked at. Of one that has just begun its collector may still come. */
bool vmt_process_end_is_uncollected(const struct vmt_head *head);

/* "exit", "signal", "exec", "stopped", "running", "ending" or "cut"; *status = exit status, signal
 * or enum vmt_stop, else 0. The chunk may be NULL. */
const char *vmt_process_end_find(const struct vmt_head *head, const struct vmt_chunk_end *chunk,
				 int *status);

/* Whether it runs by its head alone, where a collector has also written how it ended. Of one that
 * is not seen from here (another pid namespace, hidepid=): as long as its collector writes. The
 * process that a snapshot was taken of does not run for its trace. */
bool vmt_process_end_runs(const struct vmt_head *head);
/* Whether one that does not run will not again. One that is not seen from here may write again. */
bool vmt_process_end_is_over(const struct vmt_head *head);

/* Whether the recording was given up, as the program had run out of something. */
bool vmt_process_end_is_short(const struct vmt_head *head);

/* What that was, in words, by enum vmt_stop. */
const char *vmt_process_end_shortage(int stop);

#endif
