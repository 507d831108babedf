#include "capture/entry/exec_call.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "format/event.h"
#include "format/raw_calls.h"

#include <fcntl.h>

/* Whether this is the recorded process itself. A fork child that has no trace yet gets none for the
 * sake of its exec. Where no system call may be made that can't be told, and nothing is written. */
static bool
is_owner(void)
{
	return vmt_guard_syscalls_allowed() &&
	       vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
	       vmt_guard_owner->pid == (uint32_t)vmt_sys_call0(SYS_getpid);
}

/* Several threads may try: the head says EXEC for as long as one of them does. */
static void
say_exec(void)
{
	uint32_t running = VMT_END_RUNNING;

	vmt_atomic_add_relaxed(&vmt_recording.execs, 1);
	(void)vmt_atomic_cas(&vmt_recording.head->end, &running, VMT_END_EXEC);
}

/* False: none was said. A raw call's beginning may not have come by: no stack was free. */
static bool
take_back_exec(void)
{
	uint32_t exec = VMT_END_EXEC;
	uint32_t said = vmt_atomic_load_relaxed(&vmt_recording.execs);
	uint32_t outer;

	while (said != 0 && !vmt_atomic_cas(&vmt_recording.execs, &said, said - 1))
		;
	/* Meanwhile another thread may have given the recording up, and the head is gone. */
	if (said == 0 || !vmt_guard_hold(&outer))
		return said != 0;
	if (said == 1)
		(void)vmt_atomic_cas(&vmt_recording.head->end, &exec, VMT_END_RUNNING);
	vmt_guard_let_go(outer);
	return true;
}

static void
write_event(struct vmt_map_event *event, const struct vmt_route_caller *caller)
{
	event->stack = vmt_route_stack(caller);
	event->time = vmt_emit_time_after();
	vmt_emit_map(event);
}

struct vmt_exec_call
vmt_exec_call_begin(const struct vmt_static_exec *what, const struct vmt_route_caller *caller)
{
	struct vmt_map_event event = {.kind = VMT_EVENT_EXEC};
	struct vmt_exec_call call = {.written = false};

	if (is_owner() && vmt_guard_enter()) {
		if (vmt_guard_syscalls_allowed())
			event.length = vmt_sys_peak_rss_bytes();
		write_event(&event, caller);
		say_exec();
		vmt_guard_leave();
		call.written = true;
	}
	call.seized = vmt_static_exec_announce(what);
	return call;
}

void
vmt_exec_call_end(const struct vmt_exec_call *call, int error,
		  const struct vmt_route_caller *caller)
{
	struct vmt_map_event event = {.kind = VMT_EVENT_MAP_UNDO, .error = (int16_t)error};

	vmt_static_exec_failed(call->seized);
	if (call->written && take_back_exec() && vmt_guard_enter()) {
		write_event(&event, caller);
		vmt_guard_leave();
	}
}

bool
vmt_exec_call_is_told(long number)
{
	return ((unsigned long)number & ~(unsigned long)VMT_EXEC_BITS) == VMT_EXEC_TAG;
}

/* Its stub has its exit's address before the instruction that comes next. */
static void
begin_told(const struct vmt_raw_call *told, const struct vmt_route_caller *caller)
{
	bool beside = (told->number & VMT_EXEC_AT) != 0;
	const struct vmt_static_exec what = {
	    .directory = beside ? (int)told->words[0] : AT_FDCWD,
	    .path = (const char *)told->words[beside ? 1 : 0], /* NOLINT */
	};
	struct vmt_route_caller program = *caller;

	program.place.pc = ((const uint64_t *)caller->place.pc)[-1]; /* NOLINT */
	(void)vmt_exec_call_begin(&what, &program);
}

long
vmt_exec_call_told(const struct vmt_raw_call *told, const struct vmt_route_caller *caller)
{
	int error = (int)(told->number & VMT_EXEC_ERROR);

	if (told->number & VMT_EXEC_FAILED) {
		const struct vmt_exec_call call = {is_owner(), vmt_static_exec_find()};

		vmt_exec_call_end(&call, error, caller);
		return -error;
	}
	begin_told(told, caller);
	return 0;
}
