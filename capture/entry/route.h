/*
 * route.h: a memory call by its number, from wherever it was made: made once, and written down
 *
 * For libc's syscall() and for raw system calls that come in by raw_entry.h. Knows what the
 * recorder needs to see besides memory calls: a process that ends, a filter of system calls, a time
 * stamp counter that is turned off. All other numbers are just made. Returns the kernel's value.
 * Outside a hook; async-signal-safe.
 */
#ifndef VMT_ROUTE_H
#define VMT_ROUTE_H

#include "capture/record/raw_call.h"
#include "capture/stacks/capture.h"

/* Who calls: a hook's frame, or where that is NULL the place of a raw system call. */
struct vmt_route_caller {
	const void *frame;
	struct vmt_capture_start place;
	uint32_t notes; /* VMT_NOTE_*, added where a memory call is recorded */
};

/* Its call stack, as an id. Between vmt_guard_enter and vmt_guard_leave. */
uint32_t vmt_route_stack(const struct vmt_route_caller *caller);

/* Whether a call installs a filter of system calls: by its number and first word. */
bool vmt_route_filters(long number, long word);

/* A call that made a thread or a process: the number tells its result (capture/record/birth.h),
 * which is returned. */
long vmt_route_birth(const struct vmt_raw_call *call, const struct vmt_route_caller *caller);

long vmt_route(struct vmt_raw_call *call, const struct vmt_route_caller *caller);

#endif
