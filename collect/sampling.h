/*
 * sampling.h: decides when a process's memory is looked at
 *
 * RSS every 10 ms while it moves, backing off to 1 s while it does not (usage_readings.h), or at
 * the host's fixed interval, and at once where events say that much more is held (demand.h). A
 * snapshot: soon after the announcement; when RSS has moved by 5 % and 1 MiB from the last one
 * (twice that while it moves fast and the credit is below a tenth of its most); when events say
 * that much was freed and RSS has not moved (demand.h); every 10 s; at once when the process asks
 * (exit). All but the last kind together use 1 % of one CPU at most, or 1 % of the CPU quota of the
 * collector's cgroup where that is less (read every 10 s): they draw on a credit that fills up at
 * that rate, less what readings have cost (cpu_budget.h); what was wanted and not taken is counted.
 * Readings that cost more than half of that come less often, down to ten a second. In a trace that
 * must not grow, both come more and more seldom (bound.h), and none once it is full; a snapshot
 * that finds no room is counted as well. Single-threaded. Errors are swallowed: figures that can't
 * be had are left out.
 */
#ifndef VMT_SAMPLING_H
#define VMT_SAMPLING_H

#include "collect/traced.h"

void vmt_sampling_begin(struct vmt_traced *process, struct vmt_shared *shared);

/* Whatever is due. */
void vmt_sampling_round(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns);

/* Whether the process waits for a snapshot: the next round takes it. */
bool vmt_sampling_is_asked(const struct vmt_traced *process);

/* Answers a process that can't be seen: it has no snapshot, and need not wait for one. */
void vmt_sampling_decline(struct vmt_traced *process);

/* Adds one reading of RSS and cgroup now. */
void vmt_sampling_read(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns);

/* A reading and a snapshot now, whatever the credit. */
void vmt_sampling_look(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns,
		       enum vmt_snapshot_reason reason);

#endif
