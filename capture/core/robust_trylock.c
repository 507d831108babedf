#include "capture/core/robust_trylock.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/sys.h"
#include "capture/core/guard.h"

#include <errno.h>
#include <time.h>

#define PAUSE_NS 100000

/* A holder that was not to ask who it is. */
#define SOMEBODY UINT32_MAX

static uint32_t
own_id(void)
{
	return vmt_guard_syscalls_allowed() ? (uint32_t)vmt_sys_call0(SYS_gettid) : SOMEBODY;
}

/* In the process whose memory this is: a vfork child has it from its parent, and of what a fork
 * child has from its own, nobody is here. */
static bool
is_here(uint32_t thread)
{
	uint32_t pid = vmt_guard_owner->pid;

	if (pid == 0)
		pid = (uint32_t)vmt_sys_call0(SYS_getpid);
	return vmt_sys_call3(SYS_tgkill, pid, thread, 0) != -ESRCH;
}

enum vmt_robust_trylock
vmt_robust_trylock_take(uint32_t *holder)
{
	uint32_t self = own_id();
	uint32_t found = 0;

	if (vmt_atomic_cas(holder, &found, self))
		return VMT_ROBUST_TRYLOCK_TAKEN;
	if (self == SOMEBODY || found == SOMEBODY)
		return VMT_ROBUST_TRYLOCK_BUSY;
	if (found != self && is_here(found))
		return VMT_ROBUST_TRYLOCK_BUSY;
	return vmt_atomic_cas(holder, &found, self) ? VMT_ROBUST_TRYLOCK_TAKEN_OVER
						    : VMT_ROBUST_TRYLOCK_BUSY;
}

/* The number of turns is a bound of its own: no clock is asked. */
bool
vmt_robust_trylock_wait(uint32_t *holder, uint64_t limit_ns, bool *waited)
{
	const struct timespec pause = {0, PAUSE_NS};

	*waited = false;
	for (uint64_t turns = limit_ns / PAUSE_NS; turns > 0; turns--) {
		if (vmt_robust_trylock_take(holder) != VMT_ROBUST_TRYLOCK_BUSY)
			return true;
		*waited = true;
		if (!vmt_guard_syscalls_allowed())
			return false;
		vmt_sys_call2(SYS_nanosleep, &pause, NULL);
	}
	return false;
}

void
vmt_robust_trylock_release(uint32_t *holder)
{
	vmt_assert(vmt_atomic_load_relaxed(holder) != 0);
	vmt_atomic_store_release(holder, 0);
}
