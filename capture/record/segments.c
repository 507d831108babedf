#include "capture/record/segments.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/pages.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/record/file_ranges.h"
#include "capture/record/kernel_range.h"
#include "capture/record/long_call.h"
#include "capture/record/mapping.h"
#include "capture/record/own_release.h"
#include "capture/record/resident_probe.h"
#include "capture/stacks/stack_bounds.h"
#include "format/event.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define ATTACHED_MAX 256u

/* address 0 = free; taken by CAS 0 -> address, length is written before the address is published
 * and belongs to whoever attached there. An address is attached once at a time. */
static VMT_ROOMY struct {
	uint64_t address;
	uint64_t length;
} attached[ATTACHED_MAX];

#define CLAIMED UINT64_MAX

static void
remember(uint64_t address, uint64_t length)
{
	for (uint32_t index = 0; index < ATTACHED_MAX; index++) {
		uint64_t expected = 0;

		if (!vmt_atomic_cas(&attached[index].address, &expected, CLAIMED))
			continue;
		vmt_assert(address != 0 && address != CLAIMED);
		attached[index].length = length;
		vmt_atomic_store_release(&attached[index].address, address);
		return;
	}
}

uint64_t
vmt_segments_attached_bytes(uint64_t address)
{
	for (uint32_t index = 0; index < ATTACHED_MAX; index++) {
		if (vmt_atomic_load_acquire(&attached[index].address) == address)
			return attached[index].length;
	}
	return 0;
}

void
vmt_segments_forget(uint64_t address)
{
	for (uint32_t index = 0; index < ATTACHED_MAX; index++) {
		uint64_t expected = address;

		if (vmt_atomic_cas(&attached[index].address, &expected, 0))
			return;
	}
}

/* Of a break that there is, or of a segment: never near the end of all numbers. */
static uint64_t
page_up(uint64_t bytes)
{
	return vmt_pages_up(bytes, vmt_page_bytes);
}

static void
begin_growth(uint64_t old_break, uint64_t new_break, uint32_t stack)
{
	const struct vmt_map_event ending = {.kind = VMT_EVENT_BRK,
					     .address = old_break,
					     .length = new_break - old_break,
					     .protection = PROT_READ | PROT_WRITE,
					     .stack = stack};

	if (vmt_long_call_fills())
		vmt_long_call_begin_segment(&ending);
}

uint64_t
vmt_segments_brk_begin(uint64_t old_break, uint64_t new_break, uint8_t *marks, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_BRK_BEGIN, .address = new_break, .length = old_break - new_break};
	uint64_t kept;

	*marks = 0;
	if (new_break > old_break)
		begin_growth(old_break, new_break, stack);
	if (new_break == 0 || new_break >= old_break)
		return 0;
	kept = page_up(new_break);
	vmt_assert(kept >= new_break && kept <= page_up(old_break));
	if (page_up(old_break) > kept)
		event.argument_a =
		    vmt_resident_probe_committed(kept, page_up(old_break) - kept, &event.marks);
	event.stack = stack;
	event.time = vmt_emit_time_before();
	vmt_emit_map(&event);
	*marks = event.marks;
	return event.argument_a;
}

void
vmt_segments_brk_end(const struct vmt_segments_brk *moved, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_BRK,
	    .address = moved->new_break,
	    .length = moved->new_break > moved->old_break ? moved->new_break - moved->old_break
							  : moved->old_break - moved->new_break,
	    .argument_a = moved->old_break,
	    .argument_b = moved->committed_bytes,
	    .marks = moved->marks,
	    .stack = stack,
	};

	if (moved->error != 0) {
		if (moved->new_break < moved->old_break)
			vmt_mapping_write_undo(event.address, event.length, -moved->error, stack);
		else if (vmt_long_call_fills())
			vmt_long_call_end(VMT_EVENT_BRK, stack);
		return;
	}
	if (event.length == 0)
		return;
	event.time = vmt_emit_time_after();
	vmt_emit_map(&event);
}

uint64_t
vmt_segments_bytes(int id)
{
	struct shmid_ds status;

	if (!vmt_guard_syscalls_allowed() || vmt_sys_call3(SYS_shmctl, id, IPC_STAT, &status) < 0)
		return 0;
	return page_up(status.shm_segsz);
}

long
vmt_segments_shmat(int id, uint64_t address, int flags, uint32_t stack)
{
	uint64_t length = vmt_segments_bytes(id);
	uint64_t target = flags & SHM_RND ? vmt_pages_down(address, vmt_page_bytes) : address;
	uint64_t replaced;
	bool replace =
	    (flags & SHM_REMAP) && target != 0 && vmt_kernel_range_takes(target, length, &replaced);
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_SHMAT,
	    .length = length,
	    .argument_a = (uint64_t)(int64_t)id,
	    .flags = (uint32_t)flags,
	    .address = target,
	    .protection = flags & SHM_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE,
	    .stack = stack,
	};
	bool fills;
	long result;

	if (replace && vmt_own_release_meets(target, target + replaced))
		return -ENOMEM;
	if (replace)
		vmt_mapping_write_release(VMT_EVENT_MMAP_BEGIN, target, length, 0, stack);
	fills = vmt_long_call_fills();
	if (fills)
		vmt_long_call_begin_segment(&event);
	result = vmt_sys_call3(SYS_shmat, id, address, flags);
	if (vmt_sys_failed((void *)result)) {
		if (replace)
			vmt_mapping_write_undo(target, length, result, stack);
		else if (fills)
			vmt_long_call_end(VMT_EVENT_SHMAT, stack);
		return result;
	}
	event.address = (uint64_t)result;
	if (length != 0)
		remember(event.address, length);
	vmt_file_ranges_note(event.address, length);
	event.time = vmt_emit_time_after();
	vmt_emit_map(&event);
	return result;
}

long
vmt_segments_shmdt(uint64_t address, uint32_t stack)
{
	uint64_t length = vmt_segments_attached_bytes(address);
	bool ends = length == 0 || length >= VMT_LONG_CALL_BYTES;
	long result;

	if (address == 0 || (address & (vmt_page_bytes - 1)))
		return vmt_sys_call1(SYS_shmdt, address);
	vmt_mapping_write_release(VMT_EVENT_SHMDT, address, length, ends ? VMT_MARK_ENDS : 0,
				  stack);
	vmt_segments_forget(address);
	vmt_stack_bounds_forget(address, length);
	result = vmt_sys_call1(SYS_shmdt, address);
	if (!vmt_sys_failed((void *)result)) {
		if (ends)
			vmt_long_call_end(VMT_EVENT_SHMDT, stack);
	} else {
		vmt_mapping_write_undo(address, length, result, stack);
		if (length != 0)
			remember(address, length);
	}
	return result;
}
