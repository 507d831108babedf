#include "capture/trace/idle_child.h"

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "collect/retain.h"

/* Half of the time that is brief: the collector will look at the clock later than this. */
#define IDLE_NS (VMT_RETAIN_BRIEF_NS / 2)

/* Of a fork child, as many as it began with; 0 = a fresh image. */
static uint64_t events_at_begin;

void
vmt_idle_child_begin(void)
{
	events_at_begin = vmt_emit_count();
}

bool
vmt_idle_child_is_one(void)
{
	const struct vmt_recording *process = &vmt_recording;
	uint64_t began_ns = process->head->clock_start.monotonic_ns;

	return events_at_begin != 0 && events_at_begin == vmt_emit_count() &&
	       vmt_sys_clock_ns(CLOCK_MONOTONIC) - began_ns < IDLE_NS;
}

/* The path may lead elsewhere by now: the program may have changed its root. */
static bool
is_named(const struct vmt_recording *process)
{
	int fd = vmt_sys_open(process->trace_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	uint64_t random_id = 0;
	long got;

	if (fd < 0)
		return false;
	got =
	    vmt_sys_pread(fd, &random_id, sizeof(random_id), offsetof(struct vmt_head, random_id));
	vmt_sys_close(fd);
	return got == (long)sizeof(random_id) && random_id == process->head->random_id;
}

void
vmt_idle_child_discard(void)
{
	const struct vmt_recording *process = &vmt_recording;

	if (vmt_atomic_load_relaxed(&process->head->collector_pid) == 0 &&
	    !(process->head->notes & VMT_NOTE_BUFFERED) && is_named(process) &&
	    vmt_sys_call3(SYS_unlinkat, AT_FDCWD, process->trace_path, 0) == 0 && process->session)
		vmt_atomic_add_relaxed(&process->session->dropped, 1);
}
