#include "capture/record/inherited_release.h"

#include "base/pages.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/record/around_own.h"
#include "capture/record/kernel_range.h"
#include "capture/record/segments.h"
#include "format/event.h"

#include <errno.h>

static long
unmap_part(const void *unused, uint64_t address, uint64_t length)
{
	(void)unused;
	return vmt_sys_call2(SYS_munmap, address, length);
}

static bool
is_free(uint64_t address, uint64_t length)
{
	uint32_t calls = 4;

	return vmt_kernel_range_next(address, address + length, &calls) == address + length;
}

/* Stamped before the range is seen to be free: whatever is mapped there now is not taken for it. */
void
vmt_inherited_release_settle(uint64_t address, uint64_t length)
{
	struct vmt_map_event event = {.kind = VMT_EVENT_MUNMAP,
				      .time = vmt_emit_time_before(),
				      .address = address,
				      .length = length};

	if (vmt_guard_is_unopened() || !is_free(address, length) || !vmt_guard_enter())
		return;
	vmt_emit_map(&event);
	vmt_guard_leave();
}

/* All below the end of the main thread's stack: no code to go on with, and no stack. */
static bool
is_everything(uint64_t address, uint64_t length)
{
	return address == 0 && vmt_recording.stack_start != 0 && length > vmt_recording.stack_start;
}

long
vmt_inherited_release_munmap(const struct vmt_mapping_range *range)
{
	const struct vmt_around_own around = {.part = unmap_part};
	uint64_t length;
	uint32_t outer;
	long result;

	if (!vmt_kernel_range_takes(range->address, range->length, &length))
		return vmt_sys_call2(SYS_munmap, range->address, range->length);
	if (!vmt_guard_hold_unopened(&outer))
		return -ENOMEM;
	if (is_everything(range->address, length)) {
		result = vmt_sys_call2(SYS_munmap, range->address, range->length);
		vmt_guard_let_go(outer);
		return result;
	}
	result = vmt_around_own_make(&around, range->address, length);
	vmt_guard_let_go(outer);
	if (result == 0)
		vmt_inherited_release_settle(range->address, length);
	return result;
}

/* An address where nothing is attached: the kernel refuses it, and no trace is opened for that. */
static bool
is_nowhere(uint64_t address)
{
	uint64_t length;

	return !vmt_kernel_range_takes(address, vmt_page_bytes, &length) ||
	       is_free(address, length);
}

long
vmt_inherited_release_shmdt(uint64_t address)
{
	uint64_t length;
	uint32_t outer;
	long result = -ENOMEM;

	if (!vmt_guard_hold_unopened(&outer))
		return -ENOMEM;
	length = vmt_segments_attached_bytes(address);
	if (length != 0 || is_nowhere(address))
		result = vmt_sys_call1(SYS_shmdt, address);
	if (result == 0)
		vmt_segments_forget(address);
	vmt_guard_let_go(outer);
	if (result == 0 && length != 0)
		vmt_inherited_release_settle(address, length);
	return result;
}

bool
vmt_inherited_release_make(const struct vmt_raw_call *call, long *result)
{
	struct vmt_mapping_range range = {(uint64_t)call->words[0], (uint64_t)call->words[1]};

	*result = -ENOMEM;
	if (!vmt_guard_is_unopened())
		return false;
	if (call->number == SYS_munmap)
		*result = vmt_inherited_release_munmap(&range);
	else if (call->number == SYS_shmdt)
		*result = vmt_inherited_release_shmdt(range.address);
	return *result != -ENOMEM;
}
