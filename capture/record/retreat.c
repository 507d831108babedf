#include "capture/record/retreat.h"

#include "base/pages.h"
#include "base/session.h"
#include "base/sys.h"
#include "capture/core/call_stacks.h"
#include "capture/core/guard.h"
#include "capture/core/robust_trylock.h"
#include "capture/core/threads_inside.h"
#include "capture/record/kernel_range.h"
#include "capture/record/own_release.h"
#include "capture/record/samples.h"
#include "capture/record/segments.h"
#include "capture/stacks/last_walk.h"
#include "format/head.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define ADDRESS_SPACE_BYTES (UINT64_C(1) << 47)

/* Of a thread whose attributes say nothing; and its guard, with what glibc puts beside. */
#define USUAL_STACK_BYTES (UINT64_C(8) << 20)
#define STACK_EXTRA_BYTES (UINT64_C(64) << 10)

enum progress { PROGRESS_NONE, PROGRESS_GONE, PROGRESS_STUCK };

static uint32_t progress; /* enum progress */

static uint64_t
round_up(uint64_t bytes)
{
	return vmt_pages_up(bytes, vmt_page_bytes);
}

/* All that would go. */
static struct vmt_shortage_own
own_memory(void)
{
	const struct vmt_recording *process = &vmt_recording;
	struct vmt_shortage_own own;

	own.private_bytes = vmt_samples_mapped_bytes() + vmt_last_walk_mapped_bytes() +
			    vmt_call_stacks_spare_bytes();
	own.bytes = own.private_bytes + round_up(process->head_mapped_bytes);
	if (process->session)
		own.bytes += round_up(sizeof(*process->session));
	return own;
}

void
vmt_retreat_say(enum vmt_stop cause)
{
	const struct vmt_recording *process = &vmt_recording;
	struct vmt_head *head = process->head;
	uint32_t end = VMT_END_RUNNING;

	if (vmt_atomic_load_acquire(&head->end) != VMT_END_RUNNING)
		return;
	vmt_atomic_add_relaxed(&head->snapshot_wanted, 1);
	vmt_atomic_store_relaxed(&head->end_status, (int32_t)cause);
	(void)vmt_atomic_cas(&head->end, &end, (uint32_t)VMT_END_STOPPED);
	if (process->session)
		vmt_session_wake(process->session);
}

void
vmt_retreat_unmap(void)
{
	struct vmt_recording *process = &vmt_recording;
	struct vmt_session *session = process->session;
	struct vmt_head *head = process->head;
	uint64_t bytes = process->head_mapped_bytes;

	vmt_samples_unmap();
	vmt_last_walk_unmap();
	vmt_call_stacks_count_in(NULL);
	vmt_call_stacks_give_up();
	process->session = NULL;
	process->slot = NULL;
	process->head = NULL;
	process->head_mapped_bytes = 0;
	if (session)
		vmt_sys_munmap(session, sizeof(*session));
	if (head)
		vmt_sys_munmap(head, bytes);
}

/* Recording is over. False: somebody is inside still. */
static bool
unmap_when_quiet(uint64_t limit_ns)
{
	uint32_t own_thread_id = (uint32_t)vmt_sys_call0(SYS_gettid);

	if (!vmt_threads_inside_wait(own_thread_id, vmt_guard_owner->generation,
				     &vmt_guard_owner->visitors, limit_ns)) {
		vmt_atomic_store_release(&progress, (uint32_t)PROGRESS_STUCK);
		return false;
	}
	vmt_retreat_unmap();
	vmt_thread_mine()->refused = true;
	vmt_atomic_store_release(&progress, (uint32_t)PROGRESS_GONE);
	return true;
}

static bool
retreat(enum vmt_stop cause)
{
	if (!vmt_threads_inside_can_tell())
		return false;
	vmt_guard_close();
	vmt_guard_go_inert(NULL);
	vmt_retreat_say(cause);
	return unmap_when_quiet(VMT_RETREAT_WAIT_NS);
}

/* Of all threads that fail at once, one asks at a time. *waited: another was asking. False: none
 * of the others came to an end. */
static bool
take_turn(bool *waited)
{
	return vmt_robust_trylock_wait(&vmt_own_release_turn, 2 * VMT_RETREAT_WAIT_NS, waited);
}

/* Whether the call may have failed before another thread had made room: a thread makes one call at
 * a time, so of all that it sees refused later on, only the first may have. */
static bool
may_have_failed_before(void)
{
	bool first = !vmt_thread_mine()->refused;

	vmt_thread_mine()->refused = true;
	return first;
}

/* With the turn taken. Another thread's question may have taken a mapping for a moment. */
static bool
answer(const struct vmt_shortage_call *call, bool waited)
{
	struct vmt_shortage_own own = own_memory();
	enum vmt_stop cause;

	switch (vmt_atomic_load_acquire(&progress)) {
	case PROGRESS_GONE:
		return may_have_failed_before();
	case PROGRESS_STUCK:
		return vmt_shortage_find(call, &own) != 0 && unmap_when_quiet(0);
	default:
		break;
	}
	if (vmt_atomic_load_acquire(&vmt_guard_owner->state) != VMT_OWNER_RECORDING)
		return false;
	cause = vmt_shortage_find(call, &own);
	return cause != VMT_STOP_NONE ? retreat(cause) : waited;
}

/* Not in a vfork child: its limits are its own, and the memory is its parent's. */
static bool
may_retreat(void)
{
	return vmt_thread_has_state() && !vmt_guard_is_interrupted() &&
	       vmt_thread_mine()->depth == 0 && vmt_guard_syscalls_allowed() &&
	       (vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING ||
		vmt_atomic_load_acquire(&progress) != PROGRESS_NONE) &&
	       vmt_guard_owner->pid == (uint32_t)vmt_sys_call0(SYS_getpid);
}

/* A handler that came between would find its own thread at it, or leave it half done by longjmp. */
bool
vmt_retreat_from(const struct vmt_shortage_call *call)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before = 0;
	bool again = false;
	bool waited;

	if (call->most > ADDRESS_SPACE_BYTES || !may_retreat())
		return false;
	vmt_sys_call4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, sizeof(all));
	if (take_turn(&waited)) {
		again = answer(call, waited);
		vmt_robust_trylock_release(&vmt_own_release_turn);
	}
	vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return again;
}

bool
vmt_retreat_from_mmap(const struct vmt_mapping_request *request, long result)
{
	int type = request->flags & MAP_TYPE;
	bool writable = type == MAP_PRIVATE && (request->protection & PROT_WRITE);
	struct vmt_shortage_call call = {
	    .least = request->length,
	    .most = request->length,
	    .exact = (request->flags & (MAP_HUGETLB | MAP_32BIT)) != 0,
	    .space = true,
	    .data = writable,
	    .committed = writable || ((request->flags & MAP_ANONYMOUS) && type != MAP_PRIVATE),
	    .mappings = VMT_MAPPINGS_NEW,
	};

	/* Not again to a fixed place: what was there may be gone, and be another thread's by now,
	 * or it is the tracer's own. */
	return result == -ENOMEM && !(request->flags & MAP_FIXED) && vmt_retreat_from(&call);
}

bool
vmt_retreat_from_munmap(long result)
{
	struct vmt_shortage_call call = {.mappings = VMT_MAPPINGS_SPLIT};

	return result == -ENOMEM && vmt_retreat_from(&call);
}

/* Whether what comes after the old range is free: else it could not have grown there. */
static bool
has_room_behind(const struct vmt_mapping_move *move)
{
	uint64_t end = move->old_address + round_up(move->old_length);
	uint64_t new_end = move->old_address + round_up(move->new_length);
	uint32_t calls = 64;

	return move->new_length <= ADDRESS_SPACE_BYTES &&
	       vmt_kernel_range_next(end, new_end, &calls) == new_end;
}

bool
vmt_retreat_from_mremap(const struct vmt_mapping_move *move, long result)
{
	bool grows = move->new_length > move->old_length;
	uint64_t bytes = grows ? move->new_length - move->old_length : 0;
	bool may_move = move->flags & MREMAP_MAYMOVE;
	struct vmt_shortage_call call = {
	    .least = move->flags & MREMAP_DONTUNMAP ? move->new_length : bytes,
	    .exact = !may_move,
	    .space = true,
	    .data = true,
	    .committed = true,
	    .mappings = may_move ? VMT_MAPPINGS_MOVED : VMT_MAPPINGS_SPLIT,
	};

	call.most = call.least;
	return result == -ENOMEM && !(move->flags & MREMAP_FIXED) &&
	       (may_move || !grows || has_room_behind(move)) && vmt_retreat_from(&call);
}

/* EAGAIN is how madvise says that a mapping could not be cut. */
bool
vmt_retreat_from_madvise(long result)
{
	struct vmt_shortage_call call = {.mappings = VMT_MAPPINGS_SPLIT};

	return result == -EAGAIN && vmt_retreat_from(&call);
}

/* What becomes writable counts anew; a part of a mapping needs one of its own. A range with a hole
 * is refused for that; this msync does nothing but look for one. */
bool
vmt_retreat_from_mprotect(uint64_t address, uint64_t length, int protection, long result)
{
	bool writable = protection & PROT_WRITE;
	struct vmt_shortage_call call = {
	    .most = writable ? length : 0,
	    .exact = true,
	    .data = writable,
	    .committed = writable,
	    .mappings = VMT_MAPPINGS_SPLIT,
	};

	return result == -ENOMEM && vmt_guard_syscalls_allowed() &&
	       vmt_sys_call3(SYS_msync, address, length, MS_ASYNC) == 0 && vmt_retreat_from(&call);
}

bool
vmt_retreat_from_shmat(int id, int flags, long result)
{
	struct vmt_shortage_call call = {.space = true, .mappings = VMT_MAPPINGS_NEW};

	if (result != -ENOMEM || (flags & SHM_REMAP))
		return false;
	call.least = call.most = vmt_segments_bytes(id);
	return vmt_retreat_from(&call);
}

bool
vmt_retreat_from_brk(uint64_t growth_bytes)
{
	struct vmt_shortage_call call = {
	    .least = growth_bytes,
	    .most = growth_bytes,
	    .space = true,
	    .data = true,
	    .committed = true,
	    .mappings = VMT_MAPPINGS_NEW,
	};

	return growth_bytes != 0 && vmt_retreat_from(&call);
}

/* A child's memory is not counted, but for what would be committed a second time. */
bool
vmt_retreat_from_fork(int error)
{
	struct vmt_shortage_call call = {.copy = true, .committed = true};

	return error == ENOMEM && vmt_retreat_from(&call);
}

/* Also what a limit on processes makes of it. */
bool
vmt_retreat_from_thread(uint64_t stack_bytes, int error)
{
	uint64_t least = stack_bytes != 0 ? stack_bytes : USUAL_STACK_BYTES;
	struct vmt_shortage_call call = {
	    .least = least,
	    .most = least + STACK_EXTRA_BYTES,
	    .exact = true,
	    .space = true,
	    .data = true,
	    .committed = true,
	    .mappings = VMT_MAPPINGS_SPLIT,
	};

	return error == EAGAIN && vmt_retreat_from(&call);
}

bool
vmt_retreat_from_heap(uint64_t size, uint64_t beside, int error)
{
	struct vmt_shortage_call call = {
	    .least = size,
	    .space = true,
	    .data = true,
	    .committed = true,
	    .mappings = VMT_MAPPINGS_SPLIT,
	};

	return error == ENOMEM && !__builtin_add_overflow(size, beside, &call.most) &&
	       vmt_retreat_from(&call);
}

void
vmt_retreat_settle(void)
{
	bool waited;

	if (vmt_guard_syscalls_allowed() && take_turn(&waited))
		vmt_robust_trylock_release(&vmt_own_release_turn);
}

void
vmt_retreat_forked(void)
{
	if (vmt_atomic_load_relaxed(&vmt_own_release_turn) != 0)
		vmt_atomic_store_relaxed(&vmt_own_release_turn, 0);
}
