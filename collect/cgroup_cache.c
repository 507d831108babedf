#include "collect/cgroup_cache.h"

#include "base/assert.h"

#include <string.h>

struct vmt_cgroup_cache *
vmt_cgroup_cache_find(struct vmt_cgroup_caches *caches, uint32_t pid)
{
	struct vmt_cgroup found;
	struct vmt_cgroup_cache *cache;

	if (!vmt_cgroup_find(&found, pid, "memory"))
		return NULL;
	for (uint32_t i = 0; i < caches->count; i++) {
		cache = &caches->list[i];
		if (strcmp(cache->cgroup.path, found.path) == 0)
			return cache;
	}
	vmt_assert(caches->count <= VMT_CGROUP_CACHES);
	if (caches->count == VMT_CGROUP_CACHES)
		return NULL;
	cache = &caches->list[caches->count++];
	cache->cgroup = found;
	cache->read_ns = 0;
	return cache;
}

void
vmt_cgroup_cache_fill(struct vmt_cgroup_cache *cache, struct vmt_usage *usage, uint64_t now_ns,
		      uint64_t stale_ns)
{
	static const struct vmt_cgroup nowhere;

	if (!cache || (stale_ns == UINT64_MAX && cache->read_ns == 0)) {
		vmt_cgroup_read(&nowhere, usage);
		return;
	}
	if (stale_ns != UINT64_MAX &&
	    (cache->read_ns == 0 || now_ns - cache->read_ns >= stale_ns)) {
		vmt_cgroup_read(&cache->cgroup, &cache->figures);
		cache->read_ns = now_ns;
	}
	*usage = cache->figures;
}
