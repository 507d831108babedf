#include "tools/memory_limit.h"

#include "collect/cgroup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Sanitizers map terabytes for themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

uint64_t
vmt_memory_limit_present(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %*u %*u %*u %*u %" SCNu64, &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
vmt_memory_limit_set(uint64_t bytes)
{
	struct rlimit limit;

	if (SANITIZED || getrlimit(RLIMIT_DATA, &limit) != 0)
		return;
	bytes += vmt_memory_limit_present();
	if (bytes >= limit.rlim_cur)
		return;
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_DATA, &limit);
}

uint64_t
vmt_memory_limit_available(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct vmt_cgroup cgroup;
	struct vmt_usage usage = {.cgroup_limit_bytes = VMT_FIGURE_UNKNOWN};

	if (vmt_cgroup_find(&cgroup, 0, "memory"))
		vmt_cgroup_read(&cgroup, &usage);
	return usage.cgroup_limit_bytes < bytes ? usage.cgroup_limit_bytes : bytes;
}

void
vmt_memory_limit_set_machine(void)
{
	vmt_memory_limit_set(vmt_memory_limit_available() / 4 * 3);
}
