/*
 * cgroup_cache.h: the memory cgroups of all processes, each of them read once for all of its own
 *
 * Single-threaded. Errors are swallowed: figures that can't be had are VMT_FIGURE_UNKNOWN.
 */
#ifndef VMT_CGROUP_CACHE_H
#define VMT_CGROUP_CACHE_H

#include "collect/cgroup.h"

#include <stdint.h>

#define VMT_CGROUP_CACHES 32u

struct vmt_cgroup_cache {
	struct vmt_cgroup cgroup;
	struct vmt_usage figures;
	uint64_t read_ns; /* 0 = never */
};

struct vmt_cgroup_caches {
	struct vmt_cgroup_cache list[VMT_CGROUP_CACHES];
	uint32_t count;
};

/* A process's cgroup; NULL: none, or the process is gone, or there are too many. */
struct vmt_cgroup_cache *vmt_cgroup_cache_find(struct vmt_cgroup_caches *caches, uint32_t pid);

/* The figures, read anew where they are older than stale_ns (UINT64_MAX: never). Clears all else of
 * the usage. cache may be NULL. */
void vmt_cgroup_cache_fill(struct vmt_cgroup_cache *cache, struct vmt_usage *usage, uint64_t now_ns,
			   uint64_t stale_ns);

#endif
