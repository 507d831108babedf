#include "preload/turn.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "preload/state.h"

#include <errno.h>

/* A holder that was not to ask who it is. */
#define SOMEBODY UINT32_MAX

static uint32_t
own_id(void)
{
	return vmt_state_may_call() ? (uint32_t)vmt_sys_call0(SYS_gettid) : SOMEBODY;
}

enum vmt_turn
vmt_turn_take(uint32_t *holder)
{
	uint32_t self = own_id();
	uint32_t found = 0;

	if (vmt_atomic_cas(holder, &found, self))
		return VMT_TURN_TAKEN;
	if (self == SOMEBODY || found == SOMEBODY)
		return VMT_TURN_BUSY;
	if (found != self && vmt_sys_call2(SYS_tkill, found, 0) != -ESRCH)
		return VMT_TURN_BUSY;
	return vmt_atomic_cas(holder, &found, self) ? VMT_TURN_TAKEN_OVER : VMT_TURN_BUSY;
}

void
vmt_turn_give(uint32_t *holder)
{
	vmt_atomic_store_release(holder, 0);
}
