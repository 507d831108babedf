/*
 * The states of one traced process, and the steps between them.
 * Over 500 lines: the steps share what they may not do in which state.
 */
#include "collect/process.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/address_space.h"
#include "collect/attach_trace.h"
#include "collect/holes.h"
#include "collect/mount_release.h"
#include "collect/retain.h"
#include "collect/sampling.h"
#include "collect/touch_sampling.h"
#include "collect/trace_clock.h"
#include "collect/untraced_notes.h"
#include "collect/usage_readings.h"
#include "format/settings.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>

#define MILLISECOND UINT64_C(1000000)

#define FASTEST_VISIT_NS MILLISECOND
#define SLOWEST_VISIT_NS (100 * MILLISECOND)
/* Who has its last snapshot and runs on for so long has its trace drained again. */
#define REOPEN_NS (200 * MILLISECOND)
/* From the end to when the trace is completed. */
#define BACK_NS (100 * MILLISECOND)
#define FIRST_RETRY_NS (100 * MILLISECOND)
#define LAST_RETRY_NS (5000 * MILLISECOND)

/* Rings this full (sixteenths) want to be emptied now; this full, soon. */
#define FILL_NOW 4u
#define FILL_SOON 1u

static const struct vmt_exit_status replaced = {VMT_END_EXEC, 0};
static const struct vmt_exit_status left = {VMT_END_STOPPED, VMT_STOP_DETACHED};

static void
close_one(int *fd)
{
	if (*fd >= 0)
		vmt_sys_close(*fd);
	*fd = -1;
}

static void
close_identity(struct vmt_traced *process)
{
	close_one(&process->pidfd);
	close_one(&process->stat_fd);
}

static bool
lacks_descriptors(const struct vmt_traced *process)
{
	return process->stat_fd == -EMFILE || process->stat_fd == -ENFILE ||
	       process->maps_fd == -EMFILE || process->maps_fd == -ENFILE ||
	       process->rollup_fd == -EMFILE || process->rollup_fd == -ENFILE;
}

/* Whether the pid still is the process that made the trace, and one that we can see. */
static bool
is_seen(const struct vmt_traced *process, struct vmt_procfs_stat *stat)
{
	return process->stat_fd >= 0 && vmt_procfs_read_stat(process->stat_fd, stat) &&
	       stat->start_ticks == process->start_ticks;
}

static int
write_head(void *context)
{
	return vmt_head_writer_write(&((struct vmt_traced *)context)->head_writer);
}

static void
set_up_writer(struct vmt_traced *process, struct vmt_shared *shared)
{
	process->writer = (struct vmt_writer){
	    .fd = process->trace_fd,
	    .end_bytes = process->layout.chunks_offset,
	    .compress = shared->host->compress,
	    .compress_context = shared->host->context,
	    .packed = &shared->packed,
	    .prepare = process->head_writer.copy ? write_head : NULL,
	    .prepare_context = process,
	    .bound = &process->bound,
	};
	vmt_bound_begin(&process->bound, shared->host->max_bytes, &process->layout,
			vmt_ticks_monotonic_ns());
	vmt_atomic_store_relaxed(&vmt_process_head(process)->max_bytes, process->bound.end_bytes);
}

/* The time of an event that has just been drained: the process's clock runs evenly. */
static uint64_t
monotonic_of(const struct vmt_traced *process, uint64_t time)
{
	const struct vmt_clock_pair *start = &process->layout.clock_start;
	struct vmt_clock_pair now;

	(void)vmt_trace_clock_pair(process->layout.clock, &now);
	if (time <= start->ticks || time >= now.ticks || now.monotonic_ns <= start->monotonic_ns)
		return now.monotonic_ns;
	return start->monotonic_ns +
	       (uint64_t)((unsigned __int128)(now.monotonic_ns - start->monotonic_ns) *
			  (time - start->ticks) / (now.ticks - start->ticks));
}

static void
note_fork(void *context, uint32_t child_pid, uint64_t time)
{
	struct vmt_traced *process = context;

	process->shared->forked(process->shared->context, process, child_pid,
				monotonic_of(process, time));
}

void
vmt_process_begin(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_procfs_stat stat;

	vmt_assert(process->state == VMT_PROCESS_NONE);
	set_up_writer(process, shared);
	vmt_drain_open(&process->drain, &process->layout, process->base);
	process->shared = shared;
	shared->first_pid = shared->first_pid ? shared->first_pid : process->pid;
	shared->is_tree |= process->pid != shared->first_pid;
	shared->changed_ns = vmt_ticks_monotonic_ns();
	shared->last_pids[shared->begun++ % VMT_LAST_PIDS] = process->pid;
	process->drain.forked = shared->forked ? note_fork : NULL;
	process->drain.context = process;
	process->drain.bound = &process->bound;
	process->drain.head = vmt_process_head(process);
	process->drain.random_id = process->layout.random_id;
	process->pace_ns = FASTEST_VISIT_NS;
	vmt_assert(process->base != NULL && process->trace_fd >= 0);
	process->state = is_seen(process, &stat) ? VMT_PROCESS_LIVE : VMT_PROCESS_UNSEEN;
	if (process->state == VMT_PROCESS_UNSEEN) {
		vmt_address_space_close(process);
		close_identity(process);
	} else {
		process->replaced = !process->outside && !vmt_address_space_check(process, &stat);
		vmt_sampling_begin(process, shared);
		vmt_touch_sampling_open(process, shared);
	}
	vmt_atomic_store_release(&vmt_process_head(process)->collector_pid,
				 (uint32_t)vmt_sys_call0(SYS_getpid));
	if (shared->host->touch_period != VMT_PERIOD_OFF)
		vmt_sys_call3(SYS_futex, &vmt_process_head(process)->collector_pid, FUTEX_WAKE, 1);
}

static void
put_path(struct vmt_traced *process, const char *path)
{
	struct vmt_text_out out = vmt_text_out_begin(process->path, sizeof(process->path));

	vmt_text_put(&out, path);
}

void
vmt_process_abandon(struct vmt_traced *process)
{
	vmt_touch_sampling_abandon(process);
	vmt_address_space_close(process);
	close_identity(process);
	vmt_attach_trace_undo(process);
	process->state = VMT_PROCESS_NONE;
	vmt_assert(process->base == NULL && process->trace_fd < 0 && process->pidfd < 0);
}

int
vmt_process_open(struct vmt_traced *process, struct vmt_shared *shared, uint32_t pid,
		 uint64_t random_id, const char *path, bool sparing)
{
	int result;

	vmt_assert(process->state == VMT_PROCESS_NONE);
	vmt_traced_clear(process);
	process->pid = pid;
	process->random_id = random_id;
	process->trace_fd = process->aside_fd = process->pidfd = process->stat_fd = -1;
	process->maps_fd = process->pagemap_fd = process->statm_fd = process->rollup_fd = -1;
	put_path(process, path);
	result = vmt_attach_trace_find(process, path);
	if (result == 0) {
		process->start_ticks = process->layout.start_ticks;
		vmt_address_space_open(process, shared);
		result = lacks_descriptors(process) && !sparing ? -EMFILE
								: vmt_attach_trace_map(process);
	}
	if (result != -EMFILE && result != -ENFILE)
		vmt_attach_trace_settle(process);
	if (result < 0) {
		vmt_process_abandon(process);
		return result;
	}
	vmt_process_begin(process, shared);
	return 0;
}

static int
drain(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns,
      enum vmt_drain_mode mode)
{
	uint64_t before_ns;
	int result;

	vmt_assert(!process->trace_closed && process->trace_fd >= 0);
	if (now_ns < process->retry_ns && mode != VMT_DRAIN_FINAL)
		return 0;
	vmt_bound_look(&process->bound, process->trace_fd, now_ns);
	before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	result = vmt_drain_collect(&process->drain, &process->writer, &shared->drain_scratch,
				   now_ns, mode);
	shared->apart_ns += vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	if (result == 0) {
		process->retry_pace_ns = FIRST_RETRY_NS;
		return 0;
	}
	if (process->retry_pace_ns < FIRST_RETRY_NS)
		process->retry_pace_ns = FIRST_RETRY_NS;
	process->retry_ns = now_ns + process->retry_pace_ns;
	process->retry_pace_ns *= 2;
	if (process->retry_pace_ns > LAST_RETRY_NS)
		process->retry_pace_ns = LAST_RETRY_NS;
	vmt_assert(process->retry_pace_ns >= FIRST_RETRY_NS);
	return result;
}

static void
beat(struct vmt_traced *process, uint64_t now_ns)
{
	struct vmt_head *head = vmt_process_head(process);

	vmt_atomic_store_relaxed(&head->heartbeat_ns, now_ns);
}

static void
note_clock(struct vmt_traced *process)
{
	struct vmt_head *head = vmt_process_head(process);
	struct vmt_clock_pair pair;
	bool at_once = vmt_trace_clock_pair(process->layout.clock, &pair);

	vmt_atomic_store_relaxed(&head->clock_last.ticks, pair.ticks);
	vmt_atomic_store_relaxed(&head->clock_last.monotonic_ns, pair.monotonic_ns);
	if (at_once && !vmt_clock_drift_keeps(&process->step, &pair))
		vmt_atomic_or_relaxed(&head->notes, VMT_NOTE_OUT_OF_STEP);
}

void
vmt_process_attend(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	if ((process->state != VMT_PROCESS_LIVE && process->state != VMT_PROCESS_UNSEEN) ||
	    process->trace_closed)
		return;
	beat(process, now_ns);
	drain(process, shared, now_ns, VMT_DRAIN_LAZY);
}

/* What it said itself, and what the kernel told who waited for it: of one that became another
 * program that is the other's. */
static uint64_t
last_peak(const struct vmt_traced *process, const struct vmt_collector_host *host,
	  struct vmt_exit_status ending)
{
	uint64_t said = process->drain.said_peak_bytes;
	uint64_t told = 0;

	if (host->peak_rss && (ending.end == VMT_END_EXIT || ending.end == VMT_END_SIGNAL))
		told = host->peak_rss(host->context, process->pid);
	return told > said ? told : said;
}

static int
write_end(struct vmt_traced *process, struct vmt_shared *shared, struct vmt_exit_status ending)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_END};
	struct vmt_chunk_end end = {
	    .time = vmt_trace_clock_now(process->layout.clock),
	    .monotonic_ns = vmt_ticks_monotonic_ns(),
	    .end = ending.end,
	    .status = ending.status,
	    .collector_cpu_ns = process->cpu_ns,
	    .snapshots_skipped = process->sampling.snapshots_skipped,
	    .peak_rss_bytes = last_peak(process, shared->host, ending),
	};

	chunk.time_min = chunk.time_max = end.time;
	return vmt_writer_append(&process->writer, &chunk, &end, sizeof(end));
}

static int
write_held(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	int drained = drain(process, shared, now_ns, VMT_DRAIN_FINAL);
	int flushed = vmt_usage_readings_flush(process, now_ns);

	return drained < 0 ? drained : flushed;
}

/* What is still held, and then how it ended. On a full disk the holes make room for that. */
static void
write_rest(struct vmt_traced *process, struct vmt_shared *shared, struct vmt_exit_status ending,
	   uint64_t now_ns)
{
	if (write_held(process, shared, now_ns) < 0) {
		vmt_holes_punch_all(process);
		(void)write_held(process, shared, now_ns);
	}
	if (write_end(process, shared, ending) == 0)
		return;
	vmt_holes_punch_all(process);
	(void)write_end(process, shared, ending);
}

/* What a process has ended with is its last image's: this one ended before, if it said that it
 * execs, and the exec did not fail. Where nobody saw how it ended, what it said of itself stands.
 */
static struct vmt_exit_status
settle(const struct vmt_traced *process, struct vmt_exit_status ending)
{
	const struct vmt_head *head = vmt_process_head(process);
	uint32_t said = vmt_atomic_load_acquire(&head->end);

	if (said == VMT_END_EXEC)
		return replaced;
	if (ending.end != VMT_END_UNKNOWN || said == VMT_END_RUNNING || said > VMT_END_UNKNOWN)
		return ending;
	return (struct vmt_exit_status){(enum vmt_end)said, head->end_status};
}

void
vmt_process_finish(struct vmt_traced *process, struct vmt_shared *shared,
		   struct vmt_exit_status ending)
{
	struct vmt_head *head = vmt_process_head(process);
	uint64_t now_ns = vmt_ticks_monotonic_ns();

	vmt_assert(process->state == VMT_PROCESS_LIVE || process->state == VMT_PROCESS_UNSEEN);
	if (process->trace_closed && !vmt_mount_release_reopen(process)) {
		vmt_process_abandon(process);
		return;
	}
	shared->changed_ns = now_ns;
	ending = settle(process, ending);
	drain(process, shared, now_ns, VMT_DRAIN_FINAL);
	if (shared->ending)
		shared->ending(shared->context, process);
	vmt_untraced_notes_children(shared, process);
	vmt_retain_make_room(process, shared);
	vmt_bound_finish(&process->bound);
	vmt_touch_sampling_close(process, shared);
	vmt_usage_readings_end(process, now_ns);
	write_rest(process, shared, ending, now_ns);
	note_clock(process);
	vmt_atomic_store_relaxed(&head->traces_removed,
				 vmt_atomic_load_relaxed(&shared->session->dropped));
	vmt_atomic_store_relaxed(&head->collected_status, ending.status);
	vmt_atomic_store_release(&head->collected_end, (uint32_t)ending.end);
	vmt_atomic_store_relaxed(&head->collector_pid, 0);
	vmt_retain_decide(process, shared, ending.end);
	vmt_attach_trace_undo(process);
	vmt_address_space_close(process);
	vmt_assert(process->writer.end_bytes >= process->layout.chunks_offset);
	process->state = VMT_PROCESS_NONE;
	if (ending.end == VMT_END_EXEC && process->stat_fd >= 0)
		process->state = VMT_PROCESS_REPLACED;
	else
		close_identity(process);
}

void
vmt_process_forget(struct vmt_traced *process)
{
	vmt_assert(process->state == VMT_PROCESS_REPLACED);
	close_identity(process);
	process->state = VMT_PROCESS_NONE;
}

void
vmt_process_leave_unseen(struct vmt_traced *process, struct vmt_shared *shared)
{
	static const struct vmt_exit_status unknown = {VMT_END_UNKNOWN, 0};
	struct vmt_head *head = vmt_process_head(process);
	bool is_over = process->trace_closed ||
		       vmt_atomic_load_acquire(&head->end) != VMT_END_RUNNING ||
		       vmt_exit_status_is_sole_writer(vmt_attach_trace_head_fd(process));

	vmt_assert(process->state == VMT_PROCESS_UNSEEN);
	if (is_over) {
		vmt_process_finish(process, shared, unknown);
		return;
	}
	(void)write_held(process, shared, vmt_ticks_monotonic_ns());
	note_clock(process);
	vmt_atomic_or_relaxed(&head->notes, VMT_NOTE_NOT_IN_PROC);
	vmt_atomic_store_relaxed(&head->collector_pid, 0);
	vmt_process_abandon(process);
}

/* Whether it leaves by calls that no hook sees, or without a word in this trace, by its kind. */
static bool
leaves_unseen(const struct vmt_traced *process)
{
	const struct vmt_head *head = vmt_process_head(process);

	return process->outside || head->go.version[0] != '\0' || (head->notes & VMT_NOTE_SECCOMP);
}

/*
 * How a process ended that has done so. One that has not said that it leaves may have become
 * another program by a call that no hook saw: then it has another name. Where that can't be seen
 * any more, a signal is likely its own, and an exit status is if it is of those who say nothing.
 */
static struct vmt_exit_status
learn(const struct vmt_traced *process, const struct vmt_shared *shared)
{
	static const struct vmt_exit_status unknown = {VMT_END_UNKNOWN, 0};
	const struct vmt_head *head = vmt_process_head(process);
	enum vmt_same_name same = vmt_address_space_compare_name(process);
	struct vmt_exit_status ending = vmt_exit_status_learn(
	    shared->host, process->pid, process->pidfd, process->stat_fd, process->traceable);

	if (vmt_atomic_load_acquire(&head->end) != VMT_END_RUNNING || same == VMT_NAME_SAME)
		return ending;
	if (same == VMT_NAME_OTHER || (ending.end == VMT_END_EXIT && !leaves_unseen(process)))
		return unknown;
	return ending;
}

/* Finishes the process where it has ended or become another program. */
static bool
end_when_over(struct vmt_traced *process, struct vmt_shared *shared, bool look_for_exec)
{
	vmt_assert(process->state == VMT_PROCESS_LIVE || process->state == VMT_PROCESS_UNSEEN);
	if (process->state == VMT_PROCESS_UNSEEN) {
		if (!vmt_exit_status_is_sole_writer(vmt_attach_trace_head_fd(process)))
			return false;
		vmt_process_finish(
		    process, shared,
		    vmt_exit_status_learn(shared->host, process->pid, -1, -1, false));
		return true;
	}
	if (!process->replaced && vmt_exit_status_reached(process->pidfd, process->stat_fd)) {
		vmt_process_finish(process, shared, learn(process, shared));
		return true;
	}
	if (!process->replaced && !(look_for_exec && vmt_address_space_is_replaced(process)))
		return false;
	vmt_process_finish(process, shared, replaced);
	return true;
}

/* How long to leave it alone, by how full its rings are and whether it is about to end. */
static void
set_pace(struct vmt_traced *process, uint64_t now_ns, uint32_t fill, bool news)
{
	uint64_t sample_ns = process->sampling.next_ns;

	if (fill >= FILL_NOW || news)
		process->pace_ns = FASTEST_VISIT_NS;
	else if (fill > FILL_SOON && process->pace_ns > 5 * FASTEST_VISIT_NS)
		process->pace_ns = 5 * FASTEST_VISIT_NS;
	else
		process->pace_ns += process->pace_ns / 2;
	if (process->pace_ns > SLOWEST_VISIT_NS)
		process->pace_ns = SLOWEST_VISIT_NS;
	vmt_assert(process->pace_ns >= FASTEST_VISIT_NS && process->pace_ns <= SLOWEST_VISIT_NS);
	process->visit_ns = now_ns + process->pace_ns;
	if (process->state == VMT_PROCESS_LIVE && sample_ns < process->visit_ns)
		process->visit_ns = sample_ns;
}

static void
visit_replaced(struct vmt_traced *process, uint64_t now_ns)
{
	vmt_assert(process->state == VMT_PROCESS_REPLACED);
	process->visit_ns = now_ns + SLOWEST_VISIT_NS;
	if (!vmt_exit_status_reached(process->pidfd, process->stat_fd))
		return;
	vmt_process_forget(process);
}

/* Lets go of the trace and its file system, with all that is known by now in it. */
static void
part(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	vmt_assert(process->leaving && !process->trace_closed);
	process->leaving = false;
	drain(process, shared, now_ns, VMT_DRAIN_ALL);
	(void)vmt_usage_readings_flush(process, now_ns);
	note_clock(process);
	process->visit_ns = now_ns + FASTEST_VISIT_NS;
	if (!vmt_mount_release_close(process, vmt_ticks_monotonic_ns()))
		vmt_sampling_decline(process);
}

/* Whether the trace is open, or again. Whoever waited for the end has time to unmount the file
 * system. */
static bool
is_back(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	if (!process->trace_closed)
		return true;
	process->visit_ns = now_ns + FASTEST_VISIT_NS;
	if (process->ended_ns == 0 && vmt_exit_status_reached(process->pidfd, process->stat_fd)) {
		process->ended_ns = now_ns;
		process->exit_status =
		    vmt_exit_status_learn(shared->host, process->pid, process->pidfd,
					  process->stat_fd, process->traceable);
	}
	if (process->ended_ns != 0 && now_ns >= process->ended_ns + BACK_NS)
		vmt_process_finish(process, shared, process->exit_status);
	else if (process->ended_ns != 0)
		process->visit_ns = process->ended_ns + BACK_NS;
	else if (now_ns >= process->trace_closed_ns + REOPEN_NS)
		return vmt_mount_release_reopen(process);
	return false;
}

/* The share of the map family's events is used up: what is there by now is written, and a last
 * snapshot. */
static void
end_when_full(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	if (process->bound.is_full || !vmt_bound_is_spent(&process->bound))
		return;
	drain(process, shared, now_ns, VMT_DRAIN_ALL);
	if (process->state == VMT_PROCESS_LIVE)
		vmt_sampling_look(process, shared, now_ns, VMT_SNAPSHOT_PERIODIC);
	drain(process, shared, now_ns, VMT_DRAIN_ALL);
	vmt_assert(process->bound.end_bytes != 0);
	process->bound.is_full = true;
	vmt_atomic_store_relaxed(&vmt_process_head(process)->full_since,
				 vmt_trace_clock_now(process->layout.clock));
}

/* Not for a process that ends at once, and takes the collector's pid out of its head. */
static void
note_namespace(const struct vmt_traced *process, struct vmt_shared *shared)
{
	if (shared->pid_namespace == 0)
		shared->pid_namespace = vmt_procfs_pid_namespace();
	vmt_atomic_store_relaxed(&vmt_process_head(process)->collector_pid_namespace,
				 shared->pid_namespace);
}

/* The recorder is out of the process, and the last snapshot that it asked for is taken. */
static bool
is_left(const struct vmt_traced *process)
{
	const struct vmt_head *head = vmt_process_head(process);
	const struct vmt_collector_host *host = process->shared->host;

	if (host->is_left && host->is_left(host->context, process->pid))
		return true;
	return vmt_atomic_load_acquire(&head->end) == VMT_END_STOPPED &&
	       head->end_status == VMT_STOP_DETACHED &&
	       (process->state != VMT_PROCESS_LIVE || !vmt_sampling_is_asked(process));
}

static void
visit_open(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns, bool urgent)
{
	struct vmt_head *head = vmt_process_head(process);
	uint32_t end = vmt_atomic_load_acquire(&head->end);
	uint32_t fill = vmt_drain_fill(&process->drain);
	bool sample_due = now_ns >= process->sampling.next_ns;
	bool look_for_exec = process->sampling.lost_sight || end == VMT_END_EXEC;
	bool asked = vmt_sampling_is_asked(process);

	vmt_assert(!process->trace_closed);
	beat(process, now_ns);
	/* What the process did before it asked decides what its snapshot needs. */
	drain(process, shared, now_ns, asked ? VMT_DRAIN_ALL : VMT_DRAIN_LAZY);
	if (end_when_over(process, shared, look_for_exec))
		return;
	end_when_full(process, shared, now_ns);
	if (asked)
		vmt_touch_sampling_flush(process, shared);
	if (process->state == VMT_PROCESS_LIVE)
		vmt_sampling_round(process, shared, now_ns);
	if (is_left(process)) {
		vmt_process_finish(process, shared, left);
		return;
	}
	if (process->leaving) {
		part(process, shared, now_ns);
		return;
	}
	if (process->state != VMT_PROCESS_LIVE && asked)
		vmt_sampling_decline(process);
	if (sample_due) {
		note_clock(process);
		note_namespace(process, shared);
	}
	set_pace(process, now_ns, fill, urgent || end != process->end_seen);
	process->end_seen = end;
}

void
vmt_process_visit(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns,
		  bool urgent)
{
	uint64_t before_ns, cost_ns;

	if (process->state == VMT_PROCESS_NONE)
		return;
	if (process->state == VMT_PROCESS_REPLACED) {
		visit_replaced(process, now_ns);
		return;
	}
	before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (is_back(process, shared, now_ns))
		visit_open(process, shared, now_ns, urgent);
	cost_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	process->cpu_ns += cost_ns;
	if (process->state != VMT_PROCESS_LIVE)
		shared->apart_ns += cost_ns;
}
