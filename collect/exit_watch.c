#include "collect/exit_watch.h"

#include "base/assert.h"
#include "base/sys.h"

#include <poll.h>

#define POLLED_AT_ONCE 64u

bool
vmt_exit_watch_is_urgent(struct vmt_traced *const *processes, uint32_t used, uint64_t home_device)
{
	for (uint32_t i = 0; i < used; i++) {
		if (processes[i]->state != VMT_PROCESS_NONE && processes[i]->device != home_device)
			return true;
	}
	return false;
}

/* Looks at some of [first, used); where the next begin. */
static uint32_t
notice_some(struct vmt_traced *const *processes, uint32_t first, uint32_t used)
{
	struct pollfd polled[POLLED_AT_ONCE];
	struct vmt_traced *whose[POLLED_AT_ONCE];
	struct timespec at_once = {0, 0};
	uint32_t count = 0;

	for (; first < used && count < POLLED_AT_ONCE; first++) {
		struct vmt_traced *process = processes[first];

		if (process->state == VMT_PROCESS_NONE || process->pidfd < 0)
			continue;
		vmt_assert(count < POLLED_AT_ONCE);
		polled[count] = (struct pollfd){.fd = process->pidfd, .events = POLLIN};
		whose[count++] = process;
	}
	if (count == 0 ||
	    vmt_sys_call6(SYS_ppoll, (long)polled, count, (long)&at_once, 0, 0, 0) <= 0)
		return first;
	for (uint32_t i = 0; i < count; i++) {
		if (polled[i].revents != 0)
			whose[i]->visit_ns = 0;
	}
	return first;
}

void
vmt_exit_watch_poll(struct vmt_traced *const *processes, uint32_t used)
{
	for (uint32_t next = 0; next < used;)
		next = notice_some(processes, next, used);
}
