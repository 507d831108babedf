#include "capture/core/clock.h"

#include "base/sys.h"

/* Longer than any reading under way can be behind the latest one. */
#define MARGIN_NS UINT64_C(1000000)

bool vmt_clock_is_tsc;

static uint64_t stopped_ns;

uint64_t
vmt_clock_slow(void)
{
	if (!vmt_guard_syscalls_allowed())
		return vmt_atomic_add_relaxed(&stopped_ns, 1) + 1;
	return vmt_sys_clock_ns(CLOCK_MONOTONIC);
}

void
vmt_clock_stop(void)
{
	if (!vmt_clock_is_tsc && vmt_guard_syscalls_allowed())
		vmt_atomic_store_relaxed(&stopped_ns,
					 vmt_sys_clock_ns(CLOCK_MONOTONIC) + MARGIN_NS);
}
