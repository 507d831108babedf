/*
 * hugetlb.h: whether a mapping is made of hugetlb pages
 *
 * Such pages are in RAM and in no RSS, and /proc/PID/maps does not tell them: a memfd, a System V
 * segment and a file of a hugetlbfs that is mounted anywhere look like other files. What tells is
 * the mapping's page size: PROCMAP_QUERY on /proc/PID/maps (Linux 6.11, include/uapi/linux/fs.h),
 * else KernelPageSize of /proc/PID/smaps, which is read only where the process has such pages
 * (HugetlbPages of its status). Only mappings that can be such are asked for: all have a file
 * behind them, and begin and end at multiples of the least huge page.
 *
 * Single-threaded. The descriptor is the caller's.
 */
#ifndef VMT_COLLECT_HUGETLB_H
#define VMT_COLLECT_HUGETLB_H

#include "format/chunk.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_hugetlb {
	int maps_fd;
	uint32_t pid;
	uint64_t page_bytes;  /* of ordinary pages */
	uint64_t held_bytes;  /* hugetlb pages that the process has, or VMT_FIGURE_UNKNOWN */
	bool by_smaps;	      /* PROCMAP_QUERY is not to be had */
	bool listed;	      /* smaps has been read */
	uint32_t count;	      /* of such mappings in smaps */
	uint64_t starts[256]; /* of them; more are taken for files */
};

bool vmt_hugetlb_has(struct vmt_hugetlb *hugetlb, const struct vmt_mapping *mapping);

#endif
