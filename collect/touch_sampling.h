/*
 * touch_sampling.h: samples the page faults of traced processes, which tell who committed memory
 *
 * The kernel's events (touch_events.h) are opened on each thread that a process has when it is
 * taken up, one for each processor that is online; threads to come inherit them. All events of one
 * processor write into one ring, whichever process they belong to. The collector looks before one
 * can be full: perf could wake it, but by a descriptor, while it sleeps on a futex, and a signal
 * (O_ASYNC) is sent for each sample, which took 13 us. A sample goes to the trace of the process
 * that it names. Nothing is in the process.
 *
 * Rings take at most an eighth of what the user may have locked: perf_event_mlock_kb for each
 * processor and RLIMIT_MEMLOCK, which others want as well (io_uring). Where the kernel refuses, or
 * descriptors are short, the trace says so once, and all else goes on.
 *
 * With VMT_PERIOD_AUTO the period rises with the collector's CPU time (touch_pace.h). What the
 * events cost a process, as it makes threads and processes and as it switches between threads, is
 * limited to about a hundredth of the time each: first threads to come inherit no longer, and if
 * that is not enough it has no events for ten seconds, or until its memory grows (touch_cost.h).
 *
 * The faults that a process had are counted apart, by its stat: also those of threads that had too
 * few for a sample. Single-threaded.
 */
#ifndef VMT_TOUCH_SAMPLING_H
#define VMT_TOUCH_SAMPLING_H

#include "collect/traced.h"

/* `processes` and `used` are the collector's, as they are at any time. */
void vmt_touch_sampling_begin(struct vmt_touch *touch, const struct vmt_collector_host *host,
			      struct vmt_traced *const *processes, const uint32_t *used);
void vmt_touch_sampling_end(struct vmt_touch *touch);

/* Opens the events of a process that is taken up. One with the same pid that has them open is its
 * earlier image, and hands them over. */
void vmt_touch_sampling_open(struct vmt_traced *process, struct vmt_shared *shared);

/* When the next round is due; UINT64_MAX: never. */
uint64_t vmt_touch_sampling_due_ns(const struct vmt_touch *touch);

/* Takes what the rings have, and writes what has waited long enough. */
void vmt_touch_sampling_round(struct vmt_shared *shared, uint64_t now_ns);

/* The same for all of one process's, now. */
void vmt_touch_sampling_flush(struct vmt_traced *process, struct vmt_shared *shared);

/* Flushes, and closes the events. */
void vmt_touch_sampling_close(struct vmt_traced *process, struct vmt_shared *shared);

/* Gives back what a process has, without a word in its trace. */
void vmt_touch_sampling_abandon(struct vmt_traced *process);

#endif
