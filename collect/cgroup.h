/*
 * cgroup.h: reads what the process's cgroups say of memory and CPU time
 *
 * Finds the directory of a process's controller, v1 or v2, through /proc/PID/cgroup and
 * /proc/self/mountinfo, and reads its figures (Documentation/admin-guide/cgroup-v2.rst,
 * cgroup-v1/memory.rst and scheduler/sched-bwc.rst). Figures that are not to be had are
 * VMT_FIGURE_UNKNOWN; a limit of "none" is that, too. No descriptor is kept, nothing allocated;
 * thread safe on separate structs.
 */
#ifndef VMT_CGROUP_H
#define VMT_CGROUP_H

#include "base/text.h"
#include "format/chunk.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_CGROUP_PATH_BYTES 512u

struct vmt_cgroup {
	char path[VMT_CGROUP_PATH_BYTES]; /* directory; "" = none found */
	uint32_t mount_bytes;		  /* of path: where the hierarchy is mounted */
	uint32_t version;		  /* 1 or 2 */
};

/* Thousandths of a CPU, the shortest quota of the kernel's (1 ms) in its longest period (1 s). */
#define VMT_CPU_WHOLE 1000u

/* Finds the directory of a controller ("memory", "cpu") for a process (0 = self). False when there
 * is none. */
bool vmt_cgroup_find(struct vmt_cgroup *cgroup, uint32_t pid, const char *controller);

/* The same from text: `memberships` as /proc/PID/cgroup, `mounts` as /proc/self/mountinfo. */
bool vmt_cgroup_locate(struct vmt_cgroup *cgroup, struct vmt_text memberships,
		       struct vmt_text mounts, const char *controller);

/* Fills in the cgroup_* figures, and only those. Use is that of the cgroup whose limit is the
 * lowest from the process's own one up to the mount, as that is what reaches it, with all cgroups
 * below; of its own where none has a limit. Kills are those in its own. */
void vmt_cgroup_read(const struct vmt_cgroup *cgroup, struct vmt_usage *usage);

/* The CPU time that a "cpu" controller's quotas allow, in thousandths of a CPU: the lowest from its
 * directory up to the mount, 1 to VMT_CPU_WHOLE. VMT_CPU_WHOLE where they allow a whole CPU or
 * more, and where none is set or to be read. */
uint32_t vmt_cgroup_read_cpu(const struct vmt_cgroup *cgroup);

/* The same of one quota and its period, text of microseconds. */
uint32_t vmt_cgroup_parse_quota(struct vmt_text quota, struct vmt_text period);

#endif
