#include "inject/urgent.h"

#include "base/sys.h"

#include <sched.h>
#include <sys/resource.h>

static bool
set(int policy, int priority)
{
	struct sched_param parameters = {.sched_priority = priority};

	return vmt_sys_call3(SYS_sched_setscheduler, 0, policy, &parameters) == 0;
}

/* Beyond it a signal would end this process. */
static bool
has_limit(void)
{
	struct rlimit limit;

	return vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_RTTIME, NULL, &limit) != 0 ||
	       limit.rlim_cur != RLIM_INFINITY;
}

void
vmt_urgent_begin(struct vmt_urgent *urgent)
{
	if (!urgent->is_on && vmt_sys_call1(SYS_sched_getscheduler, 0) == SCHED_OTHER &&
	    !has_limit())
		urgent->is_on = set(SCHED_RR, 1);
}

void
vmt_urgent_end(struct vmt_urgent *urgent)
{
	if (urgent->is_on)
		(void)set(SCHED_OTHER, 0);
	urgent->is_on = false;
}
