/*
 * cgroup.h: what does the process's memory cgroup say?
 *
 * Finds the directory of a process's memory controller, v1 or v2, through /proc/PID/cgroup and
 * /proc/self/mountinfo, and reads its figures (Documentation/admin-guide/cgroup-v2.rst and
 * cgroup-v1/memory.rst). Figures that are not to be had are VMT_FIGURE_UNKNOWN; a limit of "none"
 * is that, too. No descriptor is kept, nothing allocated; thread safe on separate structs.
 */
#ifndef VMT_CGROUP_H
#define VMT_CGROUP_H

#include "collect/text.h"
#include "format/chunk.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_CGROUP_PATH_BYTES 512u

struct vmt_cgroup {
	char path[VMT_CGROUP_PATH_BYTES]; /* directory; "" = none found */
	uint32_t mount_bytes;		  /* of path: where the hierarchy is mounted */
	uint32_t version;		  /* 1 or 2 */
};

/* Finds the directory for a process (0 = self). False when there is none. */
bool vmt_cgroup_find(struct vmt_cgroup *cgroup, uint32_t pid);

/* The same from text: `memberships` as /proc/PID/cgroup, `mounts` as /proc/self/mountinfo. */
bool vmt_cgroup_locate(struct vmt_cgroup *cgroup, struct vmt_text memberships,
		       struct vmt_text mounts);

/* Fills in the cgroup_* figures, and only those. */
void vmt_cgroup_read(const struct vmt_cgroup *cgroup, struct vmt_usage *usage);

#endif
