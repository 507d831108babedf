/*
 * exec_call.h: this process image is about to end: another program takes its place
 *
 * EXEC is written before, where this is the recorded process itself and not a vfork child of it,
 * which shares its memory and whose exec is none of its parent's. MAP_UNDO is written after an exec
 * that failed. In between the head says EXEC, so that nobody takes the end of the program that
 * follows for this image's, however soon that ends. A program that loads no library is announced
 * (capture/trace/static_exec.h). Between begin and end the thread is not inside. Outside a hook;
 * async-signal-safe; errno may be clobbered.
 */
#ifndef VMT_EXEC_CALL_H
#define VMT_EXEC_CALL_H

#include "capture/entry/route.h"
#include "capture/record/raw_call.h"
#include "capture/trace/static_exec.h"

#include <stdbool.h>

struct vmt_exec_call {
	bool written;
	struct vmt_session_slot *seized; /* somebody waits for the exec; NULL: nobody */
};

struct vmt_exec_call vmt_exec_call_begin(const struct vmt_static_exec *what,
					 const struct vmt_route_caller *caller);
void vmt_exec_call_end(const struct vmt_exec_call *call, int error,
		       const struct vmt_route_caller *caller);

/* What the stub of a raw call tells, before it makes the call and when that has failed
 * (format/raw_calls.h), and whether a number is such. The words are the call's own. Returns what
 * the call did: 0, or its negative errno. */
bool vmt_exec_call_is_told(long number);
long vmt_exec_call_told(const struct vmt_raw_call *told, const struct vmt_route_caller *caller);

#endif
