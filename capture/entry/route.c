#include "capture/entry/route.h"

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/entry/filter.h"
#include "capture/record/birth.h"
#include "capture/record/file_release.h"
#include "capture/record/inherited_release.h"
#include "capture/record/lock_all.h"
#include "capture/record/mapping.h"
#include "capture/trace/finish.h"
#include "format/event.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

uint32_t
vmt_route_stack(const struct vmt_route_caller *caller)
{
	return caller->frame ? vmt_capture_stack(caller->frame)
			     : vmt_capture_stack_from(&caller->place);
}

static long
record_once(struct vmt_raw_call *call, const struct vmt_route_caller *caller)
{
	long result;

	if (vmt_inherited_release_make(call, &result))
		return result;
	if (!vmt_guard_enter())
		return vmt_raw_call_pass(call);
	if (caller->notes)
		vmt_guard_add_note(caller->notes);
	result = vmt_raw_call_record(call, vmt_route_stack(caller));
	vmt_guard_leave();
	return result;
}

static long
record(struct vmt_raw_call *call, const struct vmt_route_caller *caller)
{
	long result = record_once(call, caller);

	return vmt_raw_call_retreat(call, result) ? record_once(call, caller) : result;
}

/* A call that was made already. */
static long
note(uint8_t kind, const struct vmt_map_event *what, long result,
     const struct vmt_route_caller *caller)
{
	if (vmt_guard_enter()) {
		vmt_mapping_note(kind, what->address, what->length, what->flags, result,
				 vmt_route_stack(caller));
		vmt_guard_leave();
	}
	return result;
}

static long
install_filter(const struct vmt_raw_call *call, bool strict)
{
	struct vmt_filter filter = {.strict = strict};
	long result;

	vmt_filter_begin(&filter);
	result = vmt_raw_call_make(call);
	vmt_filter_end(&filter, result);
	return result;
}

static long
make_prctl(struct vmt_raw_call *call, const struct vmt_route_caller *caller)
{
	const long *words = call->words;
	struct vmt_map_event named = {.address = (uint64_t)words[2], .length = (uint64_t)words[3]};

	if (words[0] == PR_SET_SECCOMP)
		return install_filter(call, words[1] == SECCOMP_MODE_STRICT);
	if (words[0] == PR_SET_TSC)
		vmt_filter_clock((unsigned long)words[1]);
	if (words[0] == PR_SET_VMA && words[1] == PR_SET_VMA_ANON_NAME)
		return note(VMT_EVENT_NAME, &named, vmt_raw_call_make(call), caller);
	return vmt_raw_call_make(call);
}

long
vmt_route_birth(const struct vmt_raw_call *call, const struct vmt_route_caller *caller)
{
	if (vmt_guard_enter()) {
		vmt_birth_note(call, vmt_route_stack(caller));
		vmt_guard_leave();
	}
	return vmt_birth_result(call->number);
}

bool
vmt_route_filters(long number, long word)
{
	return (number == SYS_prctl && word == PR_SET_SECCOMP) ||
	       (number == SYS_seccomp && (uint64_t)word < SECCOMP_GET_ACTION_AVAIL);
}

static long
make_seccomp(struct vmt_raw_call *call)
{
	if (!vmt_route_filters(call->number, call->words[0]))
		return vmt_raw_call_make(call);
	return install_filter(call, call->words[0] == SECCOMP_SET_MODE_STRICT);
}

long
vmt_route(struct vmt_raw_call *call, const struct vmt_route_caller *caller)
{
	struct vmt_map_event all = {.flags = (uint32_t)call->words[0]};

	switch (call->number) {
	case SYS_exit_group:
		vmt_finish((int)call->words[0], VMT_EXIT_UNDERSCORE);
		return vmt_raw_call_make(call);
	case SYS_seccomp:
		return make_seccomp(call);
	case SYS_prctl:
		return make_prctl(call, caller);
	case SYS_mlockall:
		return note(VMT_EVENT_MLOCK, &all, vmt_lock_all((int)call->words[0]), caller);
	case SYS_munlockall:
		all.flags = 0;
		return note(VMT_EVENT_MUNLOCK, &all, vmt_lock_all_undo(), caller);
	case SYS_fallocate:
		if (!vmt_file_release_is_one((uint32_t)call->words[1]))
			return vmt_raw_call_make(call);
		return record(call, caller);
	default:
		return record(call, caller);
	}
}
