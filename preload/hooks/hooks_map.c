/*
 * hooks_map.c: libc's names for reserving, protecting, advising and giving back address space.
 *
 * Each makes the raw system call: looking the next definition up would need dlsym, which under an
 * allocator that maps memory from within malloc never returns. Results and errno are libc's: -1 or
 * MAP_FAILED with errno on failure, errno untouched on success. brk and sbrk alone go on to libc,
 * which keeps the break in a variable of its own.
 *
 * A call that failed for want of room that the tracer takes is made again without it (retreat.h).
 *
 * As glibc: posix_madvise returns the error number and takes POSIX_MADV_DONTNEED for a no-op;
 * mremap passes its fifth argument on whatever the flags; pkey_mprotect with key -1 is mprotect.
 */
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/record/around_own.h"
#include "capture/record/inherited_release.h"
#include "capture/record/lock_all.h"
#include "capture/record/long_call.h"
#include "capture/record/madvise.h"
#include "capture/record/mapping.h"
#include "capture/record/retreat.h"
#include "capture/record/segments.h"
#include "capture/stacks/capture.h"
#include "format/event.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>

/* Not in the headers of older C libraries. */
ssize_t process_madvise(int pidfd, const struct iovec *vector, size_t entries, int advice,
			unsigned flags);
int mlock2(const void *address, size_t length, unsigned flags);
int pkey_mprotect(void *address, size_t length, int protection, int key);

/* The kernel's value as libc returns it. */
static long
as_libc(long result, int saved_errno)
{
	if (vmt_sys_is_error(result)) {
		errno = (int)-result;
		return -1;
	}
	errno = saved_errno;
	return result;
}

static uint64_t
number(const volatile void *address)
{
	return (uint64_t)(uintptr_t)address;
}

static long
map_once(const struct vmt_mapping_request *request, const void *frame)
{
	long result;

	if (!vmt_guard_enter())
		return vmt_mapping_mmap_unrecorded(request);
	result = vmt_mapping_mmap(request, vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

static void *
map(const struct vmt_mapping_request *request, const void *frame)
{
	int saved_errno = errno;
	long result = map_once(request, frame);

	if (vmt_retreat_from_mmap(request, result))
		result = map_once(request, frame);
	return (void *)as_libc(result, saved_errno);
}

VMT_EXPORT void *
mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	struct vmt_mapping_request request = {number(address), length, protection,
					      flags,	       fd,     (uint64_t)offset};

	return map(&request, __builtin_frame_address(0));
}

VMT_EXPORT void *
mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	struct vmt_mapping_request request = {number(address), length, protection,
					      flags,	       fd,     (uint64_t)offset};

	return map(&request, __builtin_frame_address(0));
}

/* A fork child that gives back what it inherited opens no trace for it: most of them end soon. */
static long
unmap_once(struct vmt_mapping_range *range, const void *frame)
{
	long result = -ENOMEM;

	if (vmt_guard_is_unopened())
		result = vmt_inherited_release_munmap(range);
	if (result != -ENOMEM)
		return result;
	if (!vmt_guard_enter())
		return vmt_mapping_munmap_unrecorded(range);
	result = vmt_mapping_munmap(range, vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

VMT_EXPORT int
munmap(void *address, size_t length)
{
	struct vmt_mapping_range range = {number(address), length};
	int saved_errno = errno;
	long result = unmap_once(&range, __builtin_frame_address(0));

	if (vmt_retreat_from_munmap(result))
		result = unmap_once(&range, __builtin_frame_address(0));
	return (int)as_libc(result, saved_errno);
}

static long
move_once(const struct vmt_mapping_move *move, const void *frame)
{
	long result;

	if (!vmt_guard_enter())
		return vmt_mapping_mremap_unrecorded(move);
	result = vmt_mapping_mremap(move, vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

VMT_EXPORT void *
mremap(void *address, size_t old_length, size_t new_length, int flags, ...)
{
	struct vmt_mapping_move move = {number(address), old_length, new_length, flags, 0};
	int saved_errno = errno;
	long result;
	va_list rest;

	va_start(rest, flags);
	move.new_address = number(va_arg(rest, void *));
	va_end(rest);
	result = move_once(&move, __builtin_frame_address(0));
	if (vmt_retreat_from_mremap(&move, result))
		result = move_once(&move, __builtin_frame_address(0));
	return (void *)as_libc(result, saved_errno);
}

struct advised {
	uint64_t address;
	uint64_t length;
	int advice;
};

static long
advise_once(const struct advised *call, const void *frame)
{
	long result;

	if (!vmt_guard_enter())
		return vmt_around_own_madvise(call->address, call->length, call->advice);
	result =
	    vmt_madvise_call(call->address, call->length, call->advice, vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

static long
advise(const struct advised *call, const void *frame)
{
	long result = advise_once(call, frame);

	return vmt_retreat_from_madvise(result) ? advise_once(call, frame) : result;
}

VMT_EXPORT int
madvise(void *address, size_t length, int advice)
{
	const struct advised call = {number(address), length, advice};
	int saved_errno = errno;

	return (int)as_libc(advise(&call, __builtin_frame_address(0)), saved_errno);
}

VMT_EXPORT int
posix_madvise(void *address, size_t length, int advice)
{
	const struct advised call = {number(address), length, advice};
	int saved_errno = errno;
	long result;

	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	result = advise(&call, __builtin_frame_address(0));
	errno = saved_errno;
	return (int)-result;
}

VMT_EXPORT ssize_t
process_madvise(int pidfd, const struct iovec *vector, size_t entries, int advice, unsigned flags)
{
	struct vmt_madvise_vector call = {pidfd, vector, entries, advice, flags};
	int saved_errno = errno;
	long result;

	if (!vmt_guard_enter()) {
		result = vmt_sys_call6(SYS_process_madvise, pidfd, (long)vector, (long)entries,
				       advice, flags, 0);
		return as_libc(result, saved_errno);
	}
	result = vmt_madvise_process(&call, VMT_STACK());
	vmt_guard_leave();
	return as_libc(result, saved_errno);
}

struct protected
{
	uint64_t address;
	uint64_t length;
	int protection;
	int key; /* -1: none */
};

static long
protect_once(const struct protected *call, const void *frame)
{
	long result;

	if (!vmt_guard_enter())
		return vmt_mapping_make_mprotect(call->address, call->length, call->protection,
						 call->key);
	result =
	    vmt_mapping_make_mprotect(call->address, call->length, call->protection, call->key);
	if (result != -EINVAL)
		vmt_mapping_write_mprotect(call->address, call->length, call->protection, result,
					   vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

static int
protect(const struct protected *call, const void *frame)
{
	int saved_errno = errno;
	long result = protect_once(call, frame);

	if (vmt_retreat_from_mprotect(call->address, call->length, call->protection, result))
		result = protect_once(call, frame);
	return (int)as_libc(result, saved_errno);
}

VMT_EXPORT int
mprotect(void *address, size_t length, int protection)
{
	const struct protected call = {number(address), length, protection, -1};

	return protect(&call, __builtin_frame_address(0));
}

VMT_EXPORT int
pkey_mprotect(void *address, size_t length, int protection, int key)
{
	const struct protected call = {number(address), length, protection, key};

	return protect(&call, __builtin_frame_address(0));
}

struct note {
	uint8_t kind; /* enum vmt_event_kind */
	const volatile void *address;
	size_t length;
	unsigned flags;
	long result; /* of the system call, already made */
};

/* Calls that change no ownership are written once they have been made. */
static int
write_note(const struct note *note, int saved_errno, const void *frame)
{
	if (vmt_guard_enter()) {
		vmt_mapping_note(note->kind, number(note->address), note->length, note->flags,
				 note->result, vmt_capture_stack(frame));
		vmt_guard_leave();
	}
	return (int)as_libc(note->result, saved_errno);
}

VMT_EXPORT int
mlock(const void *address, size_t length)
{
	int saved_errno = errno;
	struct note note = {VMT_EVENT_MLOCK, address, length, 0,
			    vmt_sys_call2(SYS_mlock, address, length)};

	return write_note(&note, saved_errno, __builtin_frame_address(0));
}

VMT_EXPORT int
mlock2(const void *address, size_t length, unsigned flags)
{
	int saved_errno = errno;
	struct note note = {VMT_EVENT_MLOCK, address, length, flags, 0};

	if (flags == 0)
		note.result = vmt_sys_call2(SYS_mlock, address, length);
	else
		note.result = vmt_sys_call3(SYS_mlock2, address, length, flags);
	return write_note(&note, saved_errno, __builtin_frame_address(0));
}

VMT_EXPORT int
mlockall(int flags)
{
	int saved_errno = errno;
	struct note note = {VMT_EVENT_MLOCK, NULL, 0, (unsigned)flags, vmt_lock_all(flags)};

	vmt_long_call_note_lock(flags, note.result);
	return write_note(&note, saved_errno, __builtin_frame_address(0));
}

VMT_EXPORT int
munlock(const void *address, size_t length)
{
	int saved_errno = errno;
	struct note note = {VMT_EVENT_MUNLOCK, address, length, 0,
			    vmt_sys_call2(SYS_munlock, address, length)};

	return write_note(&note, saved_errno, __builtin_frame_address(0));
}

VMT_EXPORT int
munlockall(void)
{
	int saved_errno = errno;
	struct note note = {VMT_EVENT_MUNLOCK, NULL, 0, 0, vmt_lock_all_undo()};

	vmt_long_call_note_lock(0, note.result);
	return write_note(&note, saved_errno, __builtin_frame_address(0));
}

VMT_EXPORT int
remap_file_pages(void *address, size_t length, int protection, size_t page_offset, int flags)
{
	int saved_errno = errno;
	struct note note = {VMT_EVENT_REMAP_FILE_PAGES, address, length, (unsigned)flags,
			    vmt_sys_call6(SYS_remap_file_pages, (long)address, (long)length,
					  protection, (long)page_offset, flags, 0)};

	return write_note(&note, saved_errno, __builtin_frame_address(0));
}

static long
attach_once(int id, const void *address, int flags, const void *frame)
{
	long result;

	if (!vmt_guard_enter())
		return vmt_sys_call3(SYS_shmat, id, address, flags);
	result = vmt_segments_shmat(id, number(address), flags, vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

VMT_EXPORT void *
shmat(int id, const void *address, int flags)
{
	int saved_errno = errno;
	long result = attach_once(id, address, flags, __builtin_frame_address(0));

	if (vmt_retreat_from_shmat(id, flags, result))
		result = attach_once(id, address, flags, __builtin_frame_address(0));
	return (void *)as_libc(result, saved_errno);
}

/* As unmap_once. */
static long
detach(const void *address, const void *frame)
{
	long result = -ENOMEM;

	if (vmt_guard_is_unopened())
		result = vmt_inherited_release_shmdt(number(address));
	if (result != -ENOMEM)
		return result;
	if (!vmt_guard_enter())
		return vmt_sys_call1(SYS_shmdt, address);
	result = vmt_segments_shmdt(number(address), vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

VMT_EXPORT int
shmdt(const void *address)
{
	int saved_errno = errno;

	return (int)as_libc(detach(address, __builtin_frame_address(0)), saved_errno);
}

/* Moves the break by libc's own sbrk or brk and writes it down: between enter and leave. Returns
 * libc's result of sbrk; brk's is 0 where that is not -1. glibc calls it success where the kernel
 * refused a break below the lowest: whether it moved is asked. */
static void *
move_break(uint64_t new_break, intptr_t increment, bool absolute, uint32_t stack)
{
	const struct vmt_real *real = vmt_real();
	struct vmt_segments_brk moved = {.old_break = number(real->sbrk(0))};
	void *result;
	int error;

	moved.new_break = absolute ? new_break : moved.old_break + (uint64_t)increment;
	moved.committed_bytes =
	    vmt_segments_brk_begin(moved.old_break, moved.new_break, &moved.marks, stack);
	errno = 0;
	if (absolute)
		result = (void *)(intptr_t)real->brk((void *)(uintptr_t)new_break);
	else
		result = real->sbrk(increment);
	error = errno;
	moved.error = number(real->sbrk(0)) == moved.new_break ? 0 : ENOMEM;
	vmt_segments_brk_end(&moved, stack);
	errno = error;
	return result;
}

/* By how much the break could not grow. */
static uint64_t
growth_to(const void *address)
{
	uint64_t now = number(vmt_real()->sbrk(0));

	return number(address) > now ? number(address) - now : 0;
}

static int
set_break_once(void *address, const void *frame)
{
	void *result;

	if (address == vmt_real()->sbrk(0) || !vmt_guard_enter())
		return vmt_real()->brk(address);
	result = move_break(number(address), 0, true, vmt_capture_stack(frame));
	vmt_guard_leave();
	return result == (void *)-1 ? -1 : 0;
}

VMT_EXPORT int
brk(void *address)
{
	int saved_errno = errno;
	int result = set_break_once(address, __builtin_frame_address(0));

	if (result != 0 && vmt_retreat_from_brk(growth_to(address)))
		result = set_break_once(address, __builtin_frame_address(0));
	errno = result == 0 ? saved_errno : ENOMEM;
	return result;
}

static void *
add_to_break_once(intptr_t increment, const void *frame)
{
	void *result;

	if (increment == 0 || !vmt_guard_enter())
		return vmt_real()->sbrk(increment);
	result = move_break(0, increment, false, vmt_capture_stack(frame));
	vmt_guard_leave();
	return result;
}

VMT_EXPORT void *
sbrk(intptr_t increment)
{
	int saved_errno = errno;
	void *result = add_to_break_once(increment, __builtin_frame_address(0));

	if (result == (void *)-1 && increment > 0 && vmt_retreat_from_brk((uint64_t)increment))
		result = add_to_break_once(increment, __builtin_frame_address(0));
	errno = result == (void *)-1 ? ENOMEM : saved_errno;
	return result;
}
