#include "preload/mapping.h"

#include "collect/sys.h"
#include "format/event.h"
#include "preload/emit.h"
#include "preload/look.h"
#include "preload/state.h"

#include <errno.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE_MASK (UINT64_C(4096) - 1)

/* Newer than the C library's headers may be. */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#define ADVICE_PAGEOUT 21
#define ADVICE_DONTNEED_LOCKED 24
#define PIDFD_OWN_THREAD (-10000)
#define PIDFD_OWN_PROCESS (-20000)

/* struct pidfd_info of linux/pidfd.h, first version (Linux 6.13), and its request. */
struct process_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t pid;
	uint32_t tgid;
	uint32_t rest[10];
};
#define PIDFD_INFO_REQUEST _IOWR(0xff, 11, struct process_info)

static uint64_t
page_up(uint64_t bytes)
{
	return (bytes + PAGE_MASK) & ~PAGE_MASK;
}

static bool
is_unaligned(uint64_t address)
{
	return (address & PAGE_MASK) != 0;
}

static bool
has_failed(long result)
{
	return result < 0 && result >= -4095;
}

/* An event stamped after its call. */
static void
write_after(struct vmt_map_event *event, uint32_t stack)
{
	event->stack = stack;
	event->time = vmt_emit_time_after();
	vmt_emit_map(event);
}

/* A release: argument_a receives what is committed in its first `looked` bytes. */
static void
write_before(struct vmt_map_event *event, uint64_t address, uint64_t looked, uint32_t stack)
{
	event->argument_a = vmt_look_committed(address, looked, &event->marks);
	event->stack = stack;
	event->time = vmt_emit_time_before();
	vmt_emit_map(event);
}

void
vmt_mapping_write_release(uint8_t kind, uint64_t address, uint64_t length, uint32_t stack)
{
	struct vmt_map_event event = {.kind = kind, .address = address, .length = length};

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

	write_after(&event, stack);
}

void
vmt_mapping_note(uint8_t kind, uint64_t address, uint64_t length, uint32_t flags, long result,
		 uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = kind,
	    .address = address,
	    .length = length,
	    .flags = flags,
	    .error = has_failed(result) ? (int16_t)-result : 0,
	};

	write_after(&event, stack);
}

/* mmap rounds to the huge page size that the flags name. */
static uint64_t
rounded_length(const struct vmt_mapping_request *request)
{
	unsigned shift = 12;

	if (request->flags & MAP_HUGETLB) {
		shift = ((unsigned)request->flags >> MAP_HUGE_SHIFT) & MAP_HUGE_MASK;
		shift = shift == 0 ? 21 : shift;
	}
	return (request->length + ((UINT64_C(1) << shift) - 1)) & ~((UINT64_C(1) << shift) - 1);
}

static long
call_mmap(const struct vmt_mapping_request *request)
{
	return vmt_sys_call6(SYS_mmap, (long)request->address, (long)request->length,
			     request->protection, request->flags, request->fd,
			     (long)request->offset);
}

/* MAP_FIXED_NOREPLACE fails where something is mapped, with or without MAP_FIXED. */
static bool
replaces(const struct vmt_mapping_request *request)
{
	return (request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED &&
	       !is_unaligned(request->address);
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
		vmt_look_note_file(event.address, event.length);
	write_after(&event, stack);
}

long
vmt_mapping_mmap(const struct vmt_mapping_request *request, uint32_t stack)
{
	uint64_t length = rounded_length(request);
	bool replace = length != 0 && replaces(request);
	long result;

	if (replace)
		vmt_mapping_write_release(VMT_EVENT_MMAP_BEGIN, request->address, length, stack);
	result = call_mmap(request);
	if (!has_failed(result))
		write_mmap(request, (uint64_t)result, stack);
	else if (replace)
		vmt_mapping_write_undo(request->address, length, result, stack);
	return result;
}

long
vmt_mapping_munmap(uint64_t address, uint64_t length, uint32_t stack)
{
	uint64_t rounded = page_up(length);
	long result;

	if (rounded == 0 || is_unaligned(address))
		return vmt_sys_call2(SYS_munmap, address, length);
	vmt_mapping_write_release(VMT_EVENT_MUNMAP, address, rounded, stack);
	result = vmt_sys_call2(SYS_munmap, address, length);
	if (has_failed(result))
		vmt_mapping_write_undo(address, rounded, result, stack);
	return result;
}

static long
call_mremap(const struct vmt_mapping_move *move)
{
	return vmt_sys_call6(SYS_mremap, (long)move->old_address, (long)move->old_length,
			     (long)move->new_length, move->flags, (long)move->new_address, 0);
}

/* What mremap refuses before it touches a mapping. */
static bool
is_refused(const struct vmt_mapping_move *move)
{
	int moving = MREMAP_FIXED | MREMAP_DONTUNMAP;
	uint64_t old_end = move->old_address + page_up(move->old_length);
	uint64_t new_end = move->new_address + page_up(move->new_length);

	if (is_unaligned(move->old_address) || page_up(move->new_length) == 0)
		return true;
	if ((move->flags & moving) && !(move->flags & MREMAP_MAYMOVE))
		return true;
	if ((move->flags & MREMAP_DONTUNMAP) && move->old_length != move->new_length)
		return true;
	if (!(move->flags & MREMAP_FIXED))
		return false;
	return is_unaligned(move->new_address) ||
	       (move->new_address < old_end && move->old_address < new_end);
}

/* The old range. Pages that move are not released: only a tail that a smaller length cuts off. An
 * old length of 0 makes a second mapping of shared pages and releases nothing. */
static void
write_mremap_begin(const struct vmt_mapping_move *move, uint32_t stack)
{
	uint64_t old_length = page_up(move->old_length);
	uint64_t new_length = page_up(move->new_length);
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MREMAP_BEGIN,
	    .address = move->old_address,
	    .length = old_length,
	    .argument_b = new_length,
	    .flags = (uint32_t)move->flags,
	};
	uint64_t cut = old_length > new_length ? old_length - new_length : 0;

	write_before(&event, move->old_address + new_length, cut, stack);
}

static void
write_mremap(const struct vmt_mapping_move *move, uint64_t address, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MREMAP,
	    .address = address,
	    .length = page_up(move->new_length),
	    .argument_a = move->old_address,
	    .argument_b = page_up(move->old_length),
	    .flags = (uint32_t)move->flags,
	};

	if (move->old_length == 0 || vmt_look_is_file(move->old_address, event.argument_b))
		vmt_look_note_file(event.address, event.length);
	write_after(&event, stack);
}

long
vmt_mapping_mremap(const struct vmt_mapping_move *move, uint32_t stack)
{
	uint64_t new_length = page_up(move->new_length);
	bool replace = move->flags & MREMAP_FIXED;
	long result;

	if (is_refused(move))
		return call_mremap(move);
	if (replace)
		vmt_mapping_write_release(VMT_EVENT_MMAP_BEGIN, move->new_address, new_length,
					  stack);
	if (move->old_length != 0)
		write_mremap_begin(move, stack);
	result = call_mremap(move);
	if (!has_failed(result)) {
		write_mremap(move, (uint64_t)result, stack);
		return result;
	}
	if (move->old_length != 0)
		vmt_mapping_write_undo(move->old_address, page_up(move->old_length), result, stack);
	if (replace)
		vmt_mapping_write_undo(move->new_address, new_length, result, stack);
	return result;
}

/* Advice after which the kernel gives pages back, now or under pressure. */
static bool
advice_releases(int advice)
{
	return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE ||
	       advice == ADVICE_DONTNEED_LOCKED || advice == ADVICE_PAGEOUT;
}

static void
write_advice_release(uint64_t address, uint64_t length, int advice, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MADVISE,
	    .address = address,
	    .length = length,
	    .advice = (uint16_t)advice,
	};

	write_before(&event, address, length, stack);
}

static void
write_advice_note(uint64_t address, uint64_t length, int advice, long result, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MADVISE,
	    .address = address,
	    .length = length,
	    .advice = (uint16_t)advice,
	    .error = has_failed(result) ? (int16_t)-result : 0,
	};

	write_after(&event, stack);
}

/* -ENOMEM says that a part of the range was not mapped; the advice was applied to all the rest. */
static bool
advice_undone(long result)
{
	return has_failed(result) && result != -ENOMEM;
}

long
vmt_mapping_madvise(uint64_t address, uint64_t length, int advice, uint32_t stack)
{
	uint64_t rounded = page_up(length);
	bool releases = advice_releases(advice);
	bool written = rounded != 0 && !is_unaligned(address);
	long result;

	if (written && releases)
		write_advice_release(address, rounded, advice, stack);
	result = vmt_sys_call3(SYS_madvise, address, length, advice);
	if (!written)
		return result;
	if (!releases)
		write_advice_note(address, rounded, advice, result, stack);
	else if (advice_undone(result))
		vmt_mapping_write_undo(address, rounded, result, stack);
	return result;
}

/* Whether a pidfd is this process's own; false where the kernel can't say. */
static bool
is_own_process(int pidfd)
{
	struct process_info info = {.mask = 1};

	if (pidfd == PIDFD_OWN_THREAD || pidfd == PIDFD_OWN_PROCESS)
		return true;
	if (!vmt_state_may_call() || vmt_sys_call3(SYS_ioctl, pidfd, PIDFD_INFO_REQUEST, &info) < 0)
		return false;
	return info.tgid == (uint32_t)vmt_sys_call0(SYS_getpid);
}

/* The program's vector may point anywhere: the kernel reads it for us, where it will, and a bad one
 * is its to refuse. */
static bool
read_vector(const struct iovec *vector, size_t entry, struct iovec *copy)
{
	struct iovec from = {(void *)(uintptr_t)(vector + entry), sizeof(*copy)};
	struct iovec to = {copy, sizeof(*copy)};

	return vmt_state_may_call() &&
	       vmt_sys_call6(SYS_process_vm_readv, vmt_sys_call0(SYS_getpid), (long)&to, 1,
			     (long)&from, 1, 0) == (long)sizeof(*copy);
}

long
vmt_mapping_process_madvise(int pidfd, const struct iovec *vector, size_t entries, int advice,
			    unsigned flags, uint32_t stack)
{
	bool releases = advice_releases(advice);
	bool written = entries <= IOV_MAX && is_own_process(pidfd);
	struct iovec range;
	long result;

	for (size_t index = 0; written && releases && index < entries; index++)
		if (read_vector(vector, index, &range))
			write_advice_release((uint64_t)(uintptr_t)range.iov_base,
					     page_up(range.iov_len), advice, stack);
	result = vmt_sys_call6(SYS_process_madvise, pidfd, (long)vector, (long)entries, advice,
			       flags, 0);
	for (size_t index = 0; written && !releases && index < entries; index++)
		if (read_vector(vector, index, &range))
			write_advice_note((uint64_t)(uintptr_t)range.iov_base,
					  page_up(range.iov_len), advice, result, stack);
	return result;
}

long
vmt_mapping_mprotect(uint64_t address, uint64_t length, int protection, int key, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MPROTECT,
	    .address = address,
	    .length = page_up(length),
	    .protection = (uint8_t)protection,
	};
	long result;

	if (key == -1)
		result = vmt_sys_call3(SYS_mprotect, address, length, protection);
	else
		result = vmt_sys_call4(SYS_pkey_mprotect, address, length, protection, key);
	if (event.length == 0 || is_unaligned(address))
		return result;
	event.error = has_failed(result) ? (int16_t)-result : 0;
	write_after(&event, stack);
	return result;
}
