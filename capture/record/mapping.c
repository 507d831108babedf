#include "capture/record/mapping.h"

#include "base/assert.h"
#include "base/pages.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/record/around_own.h"
#include "capture/record/file_ranges.h"
#include "capture/record/kernel_range.h"
#include "capture/record/long_call.h"
#include "capture/record/own_release.h"
#include "capture/record/resident_probe.h"
#include "capture/stacks/stack_bounds.h"
#include "format/event.h"

#include <errno.h>
#include <sys/mman.h>

/* Newer than the C library's headers may be. */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* An event stamped after its call. */
static void
write_after(struct vmt_map_event *event, uint32_t stack)
{
	vmt_assert(!vmt_event_is_release(event->kind));
	event->stack = stack;
	event->time = vmt_emit_time_after();
	vmt_emit_map(event);
}

/* A release: argument_a receives what is committed in its first `looked` bytes. */
static void
write_before(struct vmt_map_event *event, uint64_t address, uint64_t looked, uint32_t stack)
{
	uint8_t marks = event->marks;

	vmt_assert(vmt_event_is_release(event->kind));
	event->argument_a = vmt_resident_probe_committed(address, looked, &event->marks);
	event->marks |= marks;
	event->stack = stack;
	event->time = vmt_emit_time_before();
	vmt_emit_map(event);
}

void
vmt_mapping_write_release(uint8_t kind, uint64_t address, uint64_t length, uint8_t marks,
			  uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = kind, .address = address, .length = length, .marks = marks};

	write_before(&event, address, length, stack);
}

void
vmt_mapping_write_undo(uint64_t address, uint64_t length, long result, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MAP_UNDO,
	    .address = address,
	    .length = length,
	    .error = (int16_t)-result,
	};

	vmt_assert(vmt_sys_is_error(result));
	write_after(&event, stack);
}

void
vmt_mapping_write_private(uint64_t address, uint64_t length, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MMAP,
	    .address = address,
	    .flags = MAP_PRIVATE | MAP_ANONYMOUS,
	    .protection = PROT_READ,
	    .argument_b = UINT64_MAX,
	};

	if (vmt_kernel_range_takes(address, length, &event.length))
		write_after(&event, stack);
}

void
vmt_mapping_note(uint8_t kind, uint64_t address, uint64_t length, uint32_t flags, long result,
		 uint32_t stack)
{
	uint64_t into_page = address & (vmt_page_bytes - 1);
	struct vmt_map_event event = {
	    .kind = kind,
	    .address = address - into_page,
	    .flags = flags,
	    .error = vmt_sys_is_error(result) ? (int16_t)-result : 0,
	};

	if (!__builtin_add_overflow(length, into_page, &length))
		(void)vmt_kernel_range_cut(event.address, length, &event.length);
	write_after(&event, stack);
}

/* mmap rounds to the huge page size that the flags name. 0: no such length. */
static uint64_t
rounded_length(const struct vmt_mapping_request *request)
{
	unsigned shift = ((unsigned)request->flags >> MAP_HUGE_SHIFT) & MAP_HUGE_MASK;
	uint64_t unit = vmt_page_bytes;
	uint64_t rounded;

	if (request->flags & MAP_HUGETLB)
		unit = UINT64_C(1) << (shift == 0 ? 21 : shift);
	return vmt_kernel_range_round(request->length, unit, &rounded) ? rounded : 0;
}

static long
call_mmap(const struct vmt_mapping_request *request)
{
	return vmt_sys_call6(SYS_mmap, (long)request->address, (long)request->length,
			     request->protection, request->flags, request->fd,
			     (long)request->offset);
}

/* The bytes at the address that the call takes out. 0: none. MAP_FIXED_NOREPLACE fails where
 * something is mapped, with or without MAP_FIXED. */
static uint64_t
replaced_length(const struct vmt_mapping_request *request)
{
	uint64_t length = rounded_length(request);

	if ((request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != MAP_FIXED ||
	    !vmt_kernel_range_takes(request->address, length, &length))
		return 0;
	return length;
}

static void
write_mmap(const struct vmt_mapping_request *request, uint64_t address, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MMAP,
	    .address = address,
	    .length = rounded_length(request),
	    .protection = (uint8_t)request->protection,
	    .flags = (uint32_t)request->flags,
	    .argument_a = request->offset,
	    .argument_b = (uint64_t)(int64_t)request->fd,
	};
	int type = request->flags & MAP_TYPE;

	if (!(request->flags & MAP_ANONYMOUS) || type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		vmt_file_ranges_note(event.address, event.length);
	write_after(&event, stack);
}

/* Whether the call would put something in the place of what has to stay. */
static bool
replaces_ours(uint64_t address, uint64_t length)
{
	struct vmt_own_range ours;

	return length != 0 && vmt_own_release_next(address, address + length, &ours);
}

/* Lets go of the trace where it lies in a range that is not empty, and of what is known of a stack
 * there. Whether all is recorded. */
static bool
let_go(uint64_t address, uint64_t length, uint32_t depth)
{
	vmt_stack_bounds_forget(address, length);
	return length == 0 || vmt_own_release_let_go(address, address + length, depth);
}

long
vmt_mapping_mmap(const struct vmt_mapping_request *request, uint32_t stack)
{
	uint64_t length = replaced_length(request);
	bool is_long = vmt_long_call_is(request);
	bool recorded = let_go(request->address, length, 1);
	long result;

	if (replaces_ours(request->address, length))
		return -ENOMEM;
	if (!recorded)
		return call_mmap(request);
	if (length != 0)
		vmt_mapping_write_release(VMT_EVENT_MMAP_BEGIN, request->address, length, 0, stack);
	if (is_long)
		vmt_long_call_begin_mmap(request, rounded_length(request), stack);
	result = call_mmap(request);
	if (!vmt_sys_is_error(result))
		write_mmap(request, (uint64_t)result, stack);
	else if (is_long)
		vmt_long_call_end(VMT_EVENT_MMAP, stack);
	if (vmt_sys_is_error(result) && length != 0)
		vmt_mapping_write_undo(request->address, length, result, stack);
	return result;
}

long
vmt_mapping_mmap_unrecorded(const struct vmt_mapping_request *request)
{
	uint64_t length = replaced_length(request);

	(void)let_go(request->address, length, 0);
	return replaces_ours(request->address, length) ? -ENOMEM : call_mmap(request);
}

/* Of a range in which nothing is that has to stay. */
static long
munmap_all(uint64_t address, uint64_t length, uint32_t stack, bool written)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MUNMAP, .address = address, .length = length};
	long result;

	if (!written)
		return vmt_sys_call2(SYS_munmap, address, length);
	event.marks = length >= VMT_LONG_CALL_BYTES ? VMT_MARK_ENDS : 0;
	write_before(&event, address, length, stack);
	result = vmt_sys_call2(SYS_munmap, address, length);
	if (vmt_sys_is_error(result))
		vmt_mapping_write_undo(address, length, result, stack);
	else if (event.marks & VMT_MARK_ENDS)
		vmt_long_call_end(VMT_EVENT_MUNMAP, stack);
	return result;
}

/* A range in pages, part by part, as long as that goes well. */
static long
munmap_around_ours(struct vmt_mapping_range *range, uint32_t stack, bool written)
{
	uint64_t end = range->address + range->length;
	struct vmt_own_range ours;
	long result = -EINVAL;

	while (range->address < end) {
		if (!vmt_own_release_next(range->address, end, &ours))
			ours = (struct vmt_own_range){end, end};
		if (ours.start > range->address)
			result =
			    munmap_all(range->address, ours.start - range->address, stack, written);
		if (ours.start > range->address && vmt_sys_is_error(result))
			break;
		vmt_assert(ours.start >= range->address && ours.start <= ours.end);
		vmt_assert(ours.end > range->address && ours.end <= end);
		range->address = ours.end;
		range->length = end - ours.end;
	}
	return result;
}

long
vmt_mapping_munmap(struct vmt_mapping_range *range, uint32_t stack)
{
	bool written;

	if (!vmt_kernel_range_takes(range->address, range->length, &range->length))
		return vmt_sys_call2(SYS_munmap, range->address, range->length);
	written = let_go(range->address, range->length, 1);
	return munmap_around_ours(range, stack, written);
}

long
vmt_mapping_munmap_unrecorded(struct vmt_mapping_range *range)
{
	if (!vmt_kernel_range_takes(range->address, range->length, &range->length))
		return vmt_sys_call2(SYS_munmap, range->address, range->length);
	(void)let_go(range->address, range->length, 0);
	return munmap_around_ours(range, 0, false);
}

static long
call_mremap(const struct vmt_mapping_move *move)
{
	return vmt_sys_call6(SYS_mremap, (long)move->old_address, (long)move->old_length,
			     (long)move->new_length, move->flags, (long)move->new_address, 0);
}

/* In whole pages. An old length of 0, or one that wraps to it, makes a second mapping of shared
 * pages; one that goes beyond the address space is taken since Linux 6.17 (mm/mremap.c). */
static bool
round_old(const struct vmt_mapping_move *move, uint64_t *old_length)
{
	uint64_t page;

	if (vmt_kernel_range_round(move->old_length, vmt_page_bytes, old_length) &&
	    *old_length != 0)
		return vmt_kernel_range_cut(move->old_address, move->old_length, old_length);
	*old_length = 0;
	return vmt_kernel_range_takes(move->old_address, vmt_page_bytes, &page);
}

/* The same call in whole pages. False: mremap refuses it before it touches a mapping. */
static bool
round_move(const struct vmt_mapping_move *move, struct vmt_mapping_move *whole)
{
	int moving = MREMAP_FIXED | MREMAP_DONTUNMAP;

	*whole = *move;
	if (!round_old(move, &whole->old_length) ||
	    !vmt_kernel_range_takes(0, move->new_length, &whole->new_length))
		return false;
	if ((move->flags & moving) && !(move->flags & MREMAP_MAYMOVE))
		return false;
	if ((move->flags & MREMAP_DONTUNMAP) && move->old_length != move->new_length)
		return false;
	if (!(move->flags & MREMAP_FIXED))
		return true;
	return vmt_kernel_range_takes(move->new_address, move->new_length, &whole->new_length) &&
	       (move->new_address >= move->old_address + whole->old_length ||
		move->old_address >= move->new_address + whole->new_length);
}

/* The old range. Pages that move are not released: only a tail that a smaller length cuts off. */
static void
write_mremap_begin(const struct vmt_mapping_move *whole, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MREMAP_BEGIN,
	    .address = whole->old_address,
	    .length = whole->old_length,
	    .argument_b = whole->new_length,
	    .flags = (uint32_t)whole->flags,
	};
	uint64_t kept =
	    whole->new_length < whole->old_length ? whole->new_length : whole->old_length;

	vmt_assert(kept <= whole->old_length);
	write_before(&event, whole->old_address + kept, whole->old_length - kept, stack);
}

static void
write_mremap(const struct vmt_mapping_move *whole, uint64_t address, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MREMAP,
	    .address = address,
	    .length = whole->new_length,
	    .argument_a = whole->old_address,
	    .argument_b = whole->old_length,
	    .flags = (uint32_t)whole->flags,
	};

	if (whole->old_length == 0 ||
	    vmt_file_ranges_may_have(whole->old_address, whole->old_length))
		vmt_file_ranges_note(event.address, event.length);
	write_after(&event, stack);
}

/* Lets go of the trace, and refuses what would take away or replace what has to stay, as where
 * nothing is mapped or nothing can be. 0, or negative errno. */
static long
guard_move(const struct vmt_mapping_move *whole, uint32_t depth, bool *recorded)
{
	bool replace = whole->flags & MREMAP_FIXED;

	*recorded = let_go(whole->old_address, whole->old_length, depth);
	if (replace && !let_go(whole->new_address, whole->new_length, depth))
		*recorded = false;
	if (replaces_ours(whole->old_address, whole->old_length))
		return -EFAULT;
	if (replace && replaces_ours(whole->new_address, whole->new_length))
		return -ENOMEM;
	return 0;
}

/* Since Linux 6.17 several mappings are moved at once to a chosen place, and what lies where their
 * holes come to lie stays. This msync does nothing but look for a hole. */
static bool
moves_holes(const struct vmt_mapping_move *whole)
{
	return (whole->flags & MREMAP_FIXED) && whole->old_length == whole->new_length &&
	       whole->old_length > vmt_page_bytes && vmt_guard_syscalls_allowed() &&
	       vmt_sys_call3(SYS_msync, whole->old_address, whole->old_length, MS_ASYNC) == -ENOMEM;
}

static long
move(const struct vmt_mapping_move *move, const struct vmt_mapping_move *whole, uint32_t stack)
{
	bool replace = move->flags & MREMAP_FIXED;
	bool holes = moves_holes(whole);
	long result;

	if (replace)
		vmt_mapping_write_release(VMT_EVENT_MMAP_BEGIN, whole->new_address,
					  whole->new_length, 0, stack);
	if (whole->old_length != 0)
		write_mremap_begin(whole, stack);
	result = call_mremap(move);
	if (!vmt_sys_is_error(result)) {
		write_mremap(whole, (uint64_t)result, stack);
		if (holes)
			vmt_atomic_or_relaxed(&vmt_recording.head->notes, VMT_NOTE_HOLES_MOVED);
		return result;
	}
	if (whole->old_length != 0)
		vmt_mapping_write_undo(whole->old_address, whole->old_length, result, stack);
	if (replace)
		vmt_mapping_write_undo(whole->new_address, whole->new_length, result, stack);
	return result;
}

long
vmt_mapping_mremap(const struct vmt_mapping_move *request, uint32_t stack)
{
	struct vmt_mapping_move whole;
	bool recorded;
	long error;

	if (!round_move(request, &whole))
		return call_mremap(request);
	error = guard_move(&whole, 1, &recorded);
	if (error != 0)
		return error;
	return recorded ? move(request, &whole, stack) : call_mremap(request);
}

long
vmt_mapping_mremap_unrecorded(const struct vmt_mapping_move *request)
{
	struct vmt_mapping_move whole;
	bool recorded;
	long error = 0;

	if (round_move(request, &whole))
		error = guard_move(&whole, 0, &recorded);
	return error != 0 ? error : call_mremap(request);
}

long
vmt_mapping_make_mprotect(uint64_t address, uint64_t length, int protection, int key)
{
	vmt_stack_bounds_forget(address, length);
	return vmt_around_own_mprotect(address, length, protection, key);
}

void
vmt_mapping_write_mprotect(uint64_t address, uint64_t length, int protection, long result,
			   uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MPROTECT,
	    .address = address,
	    .protection = (uint8_t)protection,
	};

	if (result == -EINVAL || !vmt_kernel_range_cut(address, length, &event.length))
		return;
	event.error = vmt_sys_is_error(result) ? (int16_t)-result : 0;
	write_after(&event, stack);
}
