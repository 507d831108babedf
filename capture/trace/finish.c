#include "capture/trace/finish.h"

#include "base/session.h"
#include "base/sys.h"
#include "capture/core/clock.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/trace/idle_child.h"
#include "capture/trace/open.h"

#include <linux/futex.h>

#define EXIT_POLL_NS 2000000

/* Whose end a thread has begun to write, and which thread: generation << 32 | its kernel id. */
static uint64_t finishing;
/* Whose last snapshot nobody waits for any more. */
static uint32_t left_generation;

static void
write_exit(int status, enum vmt_exit_path path)
{
	struct vmt_head *head = vmt_recording.head;
	struct vmt_map_event event = {.kind = VMT_EVENT_EXIT,
				      .length = vmt_sys_peak_rss_bytes(),
				      .argument_a = (uint64_t)(int64_t)status,
				      .argument_b = path,
				      .time = vmt_clock_after()};

	vmt_emit_map(&event);
	vmt_atomic_store_relaxed(&head->end_status,
				 path == VMT_EXIT_RETURN ? VMT_STATUS_UNKNOWN : status & 0xff);
	vmt_atomic_store_release(&head->end, VMT_END_EXIT);
}

/* What was asked for, or a part of the life so far: a hundredth, or a tenth where the snapshot is
 * being taken. */
static uint64_t
longest_wait_ns(const struct vmt_head *head, uint64_t end_ns, uint32_t wanted)
{
	uint64_t began_ns = head->clock_start.monotonic_ns;
	uint64_t life_ns = end_ns > began_ns ? end_ns - began_ns : 0;
	bool under_way = vmt_atomic_load_acquire(&head->snapshot_begun) == wanted;
	uint64_t part_ns = life_ns / (under_way ? 10 : 100);

	if (part_ns > VMT_FINISH_WAIT_MAX_NS)
		part_ns = VMT_FINISH_WAIT_MAX_NS;
	return part_ns > vmt_config.exit_wait_ns ? part_ns : vmt_config.exit_wait_ns;
}

/* Whether somebody may still answer. Not where nobody collects, or the trace is not opened yet and
 * the collector has no descriptors for it. */
static bool
may_be_answered(const struct vmt_recording *process)
{
	return vmt_emit_is_collected() &&
	       (vmt_atomic_load_relaxed(&process->head->heartbeat_ns) != 0 ||
		!vmt_atomic_load_relaxed(&process->session->crowded));
}

/* Asks for a snapshot of the process as it stands now, and waits for it, bounded. */
static void
wait_for_snapshot(void)
{
	const struct vmt_recording *process = &vmt_recording;
	struct vmt_head *head = process->head;
	uint32_t wanted = vmt_atomic_add_relaxed(&head->snapshot_wanted, 1) + 1;
	uint64_t began_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
	struct timespec pause = {0, EXIT_POLL_NS};

	/* Where the clock fails, the turns tell the time. */
	for (uint64_t turn = 0; may_be_answered(process); turn++) {
		uint64_t now_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
		uint64_t longest_ns = longest_wait_ns(head, began_ns, wanted);
		uint32_t done = vmt_atomic_load_acquire(&head->snapshot_done);

		if ((int32_t)(done - wanted) >= 0 ||
		    vmt_session_has_parted(process->session, head->random_id) ||
		    (now_ns > began_ns && now_ns - began_ns >= longest_ns) ||
		    turn >= longest_ns / EXIT_POLL_NS)
			return;
		vmt_session_wake(process->session);
		vmt_sys_call4(SYS_futex, &head->snapshot_done, FUTEX_WAIT, done, &pause);
	}
}

/* A vfork child runs on its parent's memory, owner page included: its pid gives it away. Under a
 * seccomp filter it cannot be asked; the collector learns of the end by itself. */
static bool
is_ours_to_end(void)
{
	return vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
	       vmt_guard_syscalls_allowed() &&
	       vmt_guard_owner->pid == (uint32_t)vmt_sys_call0(SYS_getpid);
}

/* Another thread waits for the last snapshot: to end the process now would end its threads while
 * their stacks are looked at. That thread ends it first. */
static void
wait_beside(uint32_t generation)
{
	const struct vmt_head *head = vmt_recording.head;
	struct timespec pause = {0, EXIT_POLL_NS};
	uint64_t began_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);

	for (uint64_t turn = 0;; turn++) {
		uint32_t wanted = vmt_atomic_load_relaxed(&head->snapshot_wanted);
		uint32_t left = vmt_atomic_load_acquire(&left_generation);

		if (left == generation ||
		    turn >= longest_wait_ns(head, began_ns, wanted) / EXIT_POLL_NS)
			return;
		vmt_sys_call4(SYS_futex, &left_generation, FUTEX_WAIT, left, &pause);
	}
}

static void
leave(int status, enum vmt_exit_path path)
{
	bool idle = vmt_idle_child_is_one();

	write_exit(status, path);
	if (idle)
		vmt_idle_child_discard();
	else
		wait_for_snapshot();
	vmt_open_leave();
}

VMT_FORK_CODE static void
finish(int status, enum vmt_exit_path path)
{
	uint32_t generation = vmt_guard_owner->generation;
	uint64_t found = vmt_atomic_load_acquire(&finishing);
	uint32_t outer;
	uint64_t own;

	if (vmt_atomic_load_acquire(&left_generation) == generation || !is_ours_to_end() ||
	    !vmt_guard_hold(&outer))
		return;
	own = (uint64_t)generation << 32 | (uint32_t)vmt_sys_call0(SYS_gettid);
	if (found >> 32 != generation && vmt_atomic_cas(&finishing, &found, own)) {
		leave(status, path);
		vmt_atomic_store_release(&left_generation, generation);
	} else if (found != own) { /* else a signal handler of the thread that waits */
		wait_beside(generation);
	}
	vmt_guard_let_go(outer);
}

void
vmt_finish(int status, enum vmt_exit_path path)
{
	if (vmt_thread_has_state())
		finish(status, path);
}
