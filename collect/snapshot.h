/*
 * snapshot.h: writes which pages of a process are resident, mapping by mapping
 *
 * Reads /proc/PID/maps whole, notes the time (a replay of events up to it gives the mappings that
 * were read), scans each mapping, and appends one SNAPSHOT chunk. smaps_rollup is read only when
 * asked for: it stalls the target's own mapping calls for some 12 ms a GiB. Hugetlb pages are no
 * RSS: their runs have a kind of their own. [vsyscall] is not in the process's address space and is
 * left out.
 *
 * What does not fit is made coarse, never left out in silence (VMT_CHUNK_COARSE).
 * The caller owns descriptors and scratch. Single-threaded. Errors: -ESRCH when the address space
 * is gone, the writer's, -ENOMEM.
 */
#ifndef VMT_COLLECT_SNAPSHOT_H
#define VMT_COLLECT_SNAPSHOT_H

#include "base/buffer.h"
#include "collect/residency.h"
#include "collect/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_snapshot_scratch {
	struct vmt_buffer maps;
	struct vmt_buffer payload;
	struct vmt_buffer runs; /* of one mapping */
};

struct vmt_snapshot_job {
	struct vmt_residency_reader residency;
	int maps_fd;
	int statm_fd;
	int rollup_fd; /* -1: not asked for */
	uint32_t pid;  /* as the collector knows it; 0: this process */
	uint32_t clock;
	enum vmt_snapshot_reason reason;
	uint32_t index;
	struct vmt_snapshot_scratch *scratch;
	uint32_t max_runs; /* 0: as many as a chunk holds; tests make it small */
};

/* Takes one and appends it; *head tells what was found. */
int vmt_snapshot_take(const struct vmt_snapshot_job *job, struct vmt_writer *writer,
		      struct vmt_snapshot_head *head);

void vmt_snapshot_release(struct vmt_snapshot_scratch *scratch);

#endif
