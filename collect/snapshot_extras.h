/*
 * snapshot_extras.h: which dear questions does a snapshot ask?
 *
 * smaps_rollup and the entries of shared pages cost time by what is resident, in which the
 * process's own mapping calls, or its end, may have to wait. Single-threaded, the collector's.
 */
#ifndef VMT_SNAPSHOT_EXTRAS_H
#define VMT_SNAPSHOT_EXTRAS_H

#include "collect/traced.h"

/* Whether smaps_rollup is read. reason: enum vmt_snapshot_reason. asked_for: the process waits for
 * this snapshot. */
bool vmt_snapshot_extras_rollup(const struct vmt_traced *process, const struct vmt_shared *shared,
				uint32_t reason, bool asked_for);

/* Whether shared pages are told. reason: enum vmt_snapshot_reason. */
bool vmt_snapshot_extras_shares(const struct vmt_traced *process, const struct vmt_shared *shared,
				uint32_t reason);

/* Writes what the inside of a Go heap is, and the profile of it that the runtime keeps, as far as
 * its cost allows it; likewise. */
void vmt_snapshot_extras_read_go(struct vmt_traced *process, struct vmt_shared *shared,
				 uint32_t reason);

#endif
