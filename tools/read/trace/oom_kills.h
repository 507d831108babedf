/*
 * oom_kills.h: whether the OOM killer killed a process, by what a trace has of its cgroup.
 *
 * The kernel counts kills in a cgroup, not of a process: who ended by SIGKILL while that count rose
 * is taken for killed by it. Plain data.
 */
#ifndef VMT_OOM_KILLS_H
#define VMT_OOM_KILLS_H

#include "format/chunk.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>

struct vmt_oom_kills {
	bool is_known;
	uint64_t first;
	uint64_t most;
};

/* cgroup_oom_kills of a usage, in the order of time; may be VMT_FIGURE_UNKNOWN. */
static inline void
vmt_oom_kills_add(struct vmt_oom_kills *kills, uint64_t count)
{
	if (count == VMT_FIGURE_UNKNOWN)
		return;
	if (!kills->is_known)
		kills->first = kills->most = count;
	kills->is_known = true;
	if (count > kills->most)
		kills->most = count;
}

/* With an end as vmt_trace_end has it. */
static inline bool
vmt_oom_kills_ended(const struct vmt_oom_kills *kills, const char *end, int status)
{
	return strcmp(end, "signal") == 0 && status == SIGKILL && kills->most > kills->first;
}

#endif
