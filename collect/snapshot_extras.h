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

/* How long reading the inside of a Go heap may take, CPU time; likewise. */
uint64_t vmt_snapshot_extras_go_heap_ns(const struct vmt_traced *process,
					const struct vmt_shared *shared, uint32_t reason);

#endif
