#include "capture/record/raw_call.h"

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/record/around_own.h"
#include "capture/record/file_release.h"
#include "capture/record/madvise.h"
#include "capture/record/mapping.h"
#include "capture/record/retreat.h"
#include "capture/record/segments.h"
#include "format/event.h"

#include <errno.h>

long
vmt_raw_call_make(const struct vmt_raw_call *call)
{
	const long *words = call->words;

	return vmt_sys_call6(call->number, words[0], words[1], words[2], words[3], words[4],
			     words[5]);
}

static struct vmt_mapping_request
request_of(const struct vmt_raw_call *call)
{
	const long *words = call->words;

	return (struct vmt_mapping_request){
	    .address = (uint64_t)words[0],
	    .length = (uint64_t)words[1],
	    .protection = (int)words[2],
	    .flags = (int)words[3],
	    .fd = (int)words[4],
	    .offset = (uint64_t)words[5],
	};
}

static struct vmt_mapping_move
move_of(const struct vmt_raw_call *call)
{
	const long *words = call->words;

	return (struct vmt_mapping_move){
	    .old_address = (uint64_t)words[0],
	    .old_length = (uint64_t)words[1],
	    .new_length = (uint64_t)words[2],
	    .flags = (int)words[3],
	    .new_address = (uint64_t)words[4],
	};
}

/* What failed has left some of its range. */
static long
unmap(struct vmt_raw_call *call, uint32_t stack, bool recorded)
{
	struct vmt_mapping_range range = {(uint64_t)call->words[0], (uint64_t)call->words[1]};
	long result =
	    recorded ? vmt_mapping_munmap(&range, stack) : vmt_mapping_munmap_unrecorded(&range);

	call->words[0] = (long)range.address;
	call->words[1] = (long)range.length;
	return result;
}

long
vmt_raw_call_pass(struct vmt_raw_call *call)
{
	struct vmt_mapping_request request;
	struct vmt_mapping_move move;

	switch (call->number) {
	case SYS_mmap:
		request = request_of(call);
		return vmt_mapping_mmap_unrecorded(&request);
	case SYS_munmap:
		return unmap(call, 0, false);
	case SYS_mremap:
		move = move_of(call);
		return vmt_mapping_mremap_unrecorded(&move);
	case SYS_madvise:
		return vmt_around_own_madvise((uint64_t)call->words[0], (uint64_t)call->words[1],
					      (int)call->words[2]);
	case SYS_mprotect:
	case SYS_pkey_mprotect:
		return vmt_mapping_make_mprotect(
		    (uint64_t)call->words[0], (uint64_t)call->words[1], (int)call->words[2],
		    call->number == SYS_mprotect ? -1 : (int)call->words[3]);
	default:
		return vmt_raw_call_make(call);
	}
}

bool
vmt_raw_call_retreat(const struct vmt_raw_call *call, long result)
{
	const long *words = call->words;
	struct vmt_mapping_request request;
	struct vmt_mapping_move move;

	switch (call->number) {
	case SYS_mmap:
		request = request_of(call);
		return vmt_retreat_from_mmap(&request, result);
	case SYS_munmap:
		return vmt_retreat_from_munmap(result);
	case SYS_mremap:
		move = move_of(call);
		return vmt_retreat_from_mremap(&move, result);
	case SYS_madvise:
		return vmt_retreat_from_madvise(result);
	case SYS_mprotect:
	case SYS_pkey_mprotect:
		return vmt_retreat_from_mprotect((uint64_t)words[0], (uint64_t)words[1],
						 (int)words[2], result);
	case SYS_shmat:
		return vmt_retreat_from_shmat((int)words[0], (int)words[2], result);
	case SYS_brk: /* the break that there is, moved or not */
		return words[0] > result && vmt_retreat_from_brk((uint64_t)(words[0] - result));
	default:
		return false;
	}
}

static long
record_mprotect(const struct vmt_raw_call *call, int key, uint32_t stack)
{
	uint64_t address = (uint64_t)call->words[0];
	uint64_t length = (uint64_t)call->words[1];
	int protection = (int)call->words[2];
	long result = vmt_mapping_make_mprotect(address, length, protection, key);

	vmt_mapping_write_mprotect(address, length, protection, result, stack);
	return result;
}

/* The raw call returns the break there is afterwards, moved or not. */
static long
record_brk(const struct vmt_raw_call *call, uint32_t stack)
{
	struct vmt_segments_brk moved = {.new_break = (uint64_t)call->words[0]};
	long result;

	if (moved.new_break == 0)
		return vmt_raw_call_make(call);
	moved.old_break = (uint64_t)vmt_sys_call1(SYS_brk, 0);
	moved.committed_bytes =
	    vmt_segments_brk_begin(moved.old_break, moved.new_break, &moved.marks, stack);
	result = vmt_raw_call_make(call);
	moved.error = (uint64_t)result == moved.new_break ? 0 : ENOMEM;
	vmt_segments_brk_end(&moved, stack);
	return result;
}

static long
record_process_madvise(const struct vmt_raw_call *call, uint32_t stack)
{
	const long *words = call->words;
	struct vmt_madvise_vector vector = {
	    .pidfd = (int)words[0],
	    .ranges = (const struct iovec *)words[1], /* NOLINT(performance-no-int-to-ptr) */
	    .entries = (size_t)words[2],
	    .advice = (int)words[3],
	    .flags = (unsigned)words[4],
	};

	return vmt_madvise_process(&vector, stack);
}

/* Address, length, flags: a private mapping, whatever it is for. */
static long
record_shadow_stack(const struct vmt_raw_call *call, uint32_t stack)
{
	long result = vmt_raw_call_make(call);

	if (vmt_sys_is_error(result))
		return result;
	vmt_mapping_write_private((uint64_t)result, (uint64_t)call->words[1], stack);
	return result;
}

/* A call that may wait for a file system. Not inside: nobody waits for this thread to leave, and a
 * handler that comes at the call's end is recorded. False in *inside: recording has ended; to leave
 * is the caller's all the same. */
static long
make_outside(const struct vmt_raw_call *call, bool *inside)
{
	long result;

	vmt_guard_leave();
	result = vmt_raw_call_make(call);
	*inside = vmt_guard_enter();
	if (!*inside)
		vmt_thread_mine()->depth = 1;
	return result;
}

/* One that takes nothing out of a file in memory is just made. */
static long
record_file_release(const struct vmt_raw_call *call, uint32_t stack)
{
	const long *words = call->words;
	struct vmt_file_release release = {.fd = (int)words[0],
					   .mode = (uint32_t)words[1],
					   .offset = (uint64_t)words[2],
					   .length = (uint64_t)words[3]};
	bool written;
	bool inside;
	long result;

	if (call->number == SYS_ftruncate)
		release = vmt_file_release_of_size((int)words[0], (uint64_t)words[1]);
	written = (call->number == SYS_ftruncate || vmt_file_release_is_one(release.mode)) &&
		  vmt_file_release_begin(&release);
	result = make_outside(call, &inside);
	if (written && inside)
		vmt_file_release_end(&release, result < 0 ? (int)-result : 0, stack);
	return result;
}

/* Calls that change no ownership, once they have been made. */
static long
record_note(const struct vmt_raw_call *call, uint32_t stack)
{
	const long *words = call->words;
	long result = vmt_raw_call_make(call);

	switch (call->number) {
	case SYS_mlock:
	case SYS_mlock2:
		vmt_mapping_note(VMT_EVENT_MLOCK, (uint64_t)words[0], (uint64_t)words[1],
				 call->number == SYS_mlock2 ? (uint32_t)words[2] : 0, result,
				 stack);
		break;
	case SYS_munlock:
		vmt_mapping_note(VMT_EVENT_MUNLOCK, (uint64_t)words[0], (uint64_t)words[1], 0,
				 result, stack);
		break;
	case SYS_remap_file_pages:
		vmt_mapping_note(VMT_EVENT_REMAP_FILE_PAGES, (uint64_t)words[0], (uint64_t)words[1],
				 (uint32_t)words[4], result, stack);
		break;
	default:
		break;
	}
	return result;
}

long
vmt_raw_call_record(struct vmt_raw_call *call, uint32_t stack)
{
	const long *words = call->words;
	struct vmt_mapping_request request;
	struct vmt_mapping_move move;
	uint64_t address = (uint64_t)words[0];
	uint64_t length = (uint64_t)words[1];

	switch (call->number) {
	case SYS_mmap:
		request = request_of(call);
		return vmt_mapping_mmap(&request, stack);
	case SYS_munmap:
		return unmap(call, stack, true);
	case SYS_mremap:
		move = move_of(call);
		return vmt_mapping_mremap(&move, stack);
	case SYS_madvise:
		return vmt_madvise_call(address, length, (int)words[2], stack);
	case SYS_mprotect:
		return record_mprotect(call, -1, stack);
	case SYS_brk:
		return record_brk(call, stack);
	case SYS_shmat:
		return vmt_segments_shmat((int)words[0], length, (int)words[2], stack);
	case SYS_shmdt:
		return vmt_segments_shmdt(address, stack);
	case SYS_pkey_mprotect:
		return record_mprotect(call, (int)words[3], stack);
	case SYS_fallocate:
	case SYS_ftruncate:
		return record_file_release(call, stack);
	case SYS_process_madvise:
		return record_process_madvise(call, stack);
	case __NR_map_shadow_stack:
		return record_shadow_stack(call, stack);
	default:
		return record_note(call, stack);
	}
}
