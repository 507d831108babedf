/*
 * kernel_rss.h: compares what was scanned with the kernel's own RSS.
 *
 * The kernel's figures are read apart: statm before and behind the scan, or smaps_rollup behind it,
 * and the three parts of status before it. Its counters lag (collect/kernel_counters.h);
 * smaps_rollup does not. Pure functions.
 */
#ifndef VMT_KERNEL_RSS_H
#define VMT_KERNEL_RSS_H

#include "format/chunk.h"

#include <stdint.h>

struct vmt_kernel_rss {
	uint64_t least_bytes; /* of the kernel's figures; VMT_FIGURE_UNKNOWN: there is none */
	uint64_t most_bytes;
	/* How far the scan is from the nearest of them, beyond what that may be off; 0: equal. */
	uint64_t gap_bytes;
};

struct vmt_kernel_rss vmt_kernel_rss_compare(const struct vmt_snapshot_head *head,
					     uint64_t scanned_bytes);

#endif
