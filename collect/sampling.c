/* What is due at each round, and what the last looks found. */
#include "collect/sampling.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "base/ticks.h"
#include "collect/allocator_scan.h"
#include "collect/go_counters.h"
#include "collect/snapshot_extras.h"
#include "collect/tasks.h"
#include "collect/title.h"
#include "collect/touch_counts.h"
#include "collect/untraced_notes.h"
#include "collect/usage_readings.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND (1000 * MILLISECOND)

/* From the beginning of the trace to the first look. Most short programs have ended before it, with
 * a snapshot that they asked for. */
#define FIRST_LOOK_NS (3 * MILLISECOND)
#define FLUSH_NS SECOND
#define PERIOD_NS (10 * SECOND)
#define OUTSIDE_PERIOD_NS SECOND
#define EARLY_NS (20 * MILLISECOND)
#define SETTLE_NS (250 * MILLISECOND)
#define BRIEF_MOST_BYTES (UINT64_C(16) << 20)
#define QUOTA_NS (10 * SECOND) /* between two readings of the CPU quota */

/* RSS must have moved by a twentieth and by this much: twice that where credit is scarce while it
 * moves fast, as such a snapshot is soon superseded. */
#define MOVED_PART 20u
#define MOVED_MIN_BYTES (UINT64_C(1) << 20)

void
vmt_sampling_begin(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_sampling *sampling = &process->sampling;

	uint64_t began_ns = process->layout.clock_start.monotonic_ns;
	uint64_t now_ns = vmt_ticks_monotonic_ns();

	sampling->peak_read_ns = now_ns; /* the first snapshot has it */
	sampling->interval_ns =
	    shared->host->interval_ns ? shared->host->interval_ns : VMT_USAGE_READINGS_FASTEST_NS;
	vmt_assert(sampling->interval_ns != 0);
	if (began_ns <= now_ns && now_ns - began_ns < FIRST_LOOK_NS)
		sampling->next_ns = began_ns + FIRST_LOOK_NS;
}

void
vmt_sampling_read(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	vmt_usage_readings_find_cgroup(process, shared);
	vmt_usage_readings_take(process, shared, now_ns, false);
}

static bool
has_said_its_end(const struct vmt_traced *process)
{
	return vmt_atomic_load_relaxed(&vmt_process_head(process)->end) != VMT_END_RUNNING;
}

/* Since the last snapshot. */
static uint64_t
faulted_bytes(const struct vmt_traced *process)
{
	const struct vmt_sampling *sampling = &process->sampling;

	return (sampling->faults - sampling->snapshot_faults) * process->layout.page_bytes;
}

static bool
has_moved(const struct vmt_traced *process, bool scarce)
{
	const struct vmt_sampling *sampling = &process->sampling;
	uint64_t last = sampling->snapshot_rss_bytes;
	uint64_t moved = vmt_usage_readings_distance(sampling->rss_bytes, last);
	uint64_t faulted = process->outside ? faulted_bytes(process) : 0;

	moved = faulted > moved ? faulted : moved;
	if (scarce && sampling->moves_fast)
		moved /= 2;
	return moved >= MOVED_MIN_BYTES && moved >= last / MOVED_PART;
}

/*
 * What is shared in a tree of processes changes without a change of RSS: as they come and go, and
 * as they write to pages that they inherited. When that has come to rest, a snapshot tells how it
 * came out, and so does one that must do for one without Pss. Each that is taken so has the next
 * one wait for twice as long, as long as RSS is at rest.
 */
static bool
settles(const struct vmt_traced *process, const struct vmt_shared *shared, uint64_t now_ns)
{
	const struct vmt_sampling *sampling = &process->sampling;
	uint64_t settle_ns = sampling->settle_ns ? sampling->settle_ns : SETTLE_NS;
	uint64_t since_ns =
	    shared->changed_ns > sampling->snapshot_ns ? shared->changed_ns : sampling->snapshot_ns;

	if (!shared->is_tree || sampling->moves_fast || now_ns < since_ns + settle_ns)
		return false;
	if (!sampling->lacks_shares && sampling->snapshot_ns >= shared->changed_ns &&
	    faulted_bytes(process) < MOVED_MIN_BYTES)
		return false;
	return vmt_snapshot_extras_shares(process, shared, VMT_SNAPSHOT_PERIODIC) &&
	       vmt_snapshot_extras_rollup(process, shared, VMT_SNAPSHOT_PERIODIC, false);
}

/* By events, where RSS says nothing. */
static bool
wants_snapshot(const struct vmt_traced *process, uint64_t now_ns)
{
	return vmt_demand_wants_snapshot(&process->sampling.demand, &process->drain.held,
					 process->sampling.snapshot_ns, now_ns);
}

/* Why a snapshot is wanted by our own rules; 0 = it is not. */
static uint32_t
own_reason(const struct vmt_traced *process, const struct vmt_shared *shared, uint64_t now_ns,
	   bool scarce)
{
	const struct vmt_sampling *sampling = &process->sampling;
	/* What a fork child makes its own of the pages it shares, does not move RSS. */
	uint64_t period_ns = process->outside ? OUTSIDE_PERIOD_NS : PERIOD_NS;

	if (sampling->snapshot_ns == 0)
		return VMT_SNAPSHOT_FIRST;
	if (has_moved(process, scarce) || wants_snapshot(process, now_ns))
		return VMT_SNAPSHOT_GROWTH;
	if (settles(process, shared, now_ns))
		return VMT_SNAPSHOT_PERIODIC;
	/* A snapshot that was asked for in this round is younger than the round. */
	if (now_ns >= sampling->snapshot_ns + period_ns)
		return VMT_SNAPSHOT_PERIODIC;
	return 0;
}

/* Before the mappings are read, so that a stack that they show belongs to a thread of the list, or
 * to one whose event comes later. */
static void
note_tasks(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_tasks_job job = {
	    .pid = process->pid,
	    .own_pid = process->layout.pid,
	    .stat_fd = process->stat_fd,
	    .clock = process->layout.clock,
	    .scratch = &shared->snapshot_scratch.runs,
	};

	(void)vmt_tasks_take(&job, &process->writer);
}

/* Once, with the first snapshot. */
static void
note_allocator(struct vmt_traced *process)
{
	uint32_t notes = vmt_atomic_load_relaxed(&vmt_process_head(process)->notes);
	struct vmt_allocator_scan_job job = {
	    .exe_fd = process->sampling.searched ? -1 : vmt_procfs_open(process->pid, "exe"),
	    .clock = process->layout.clock,
	    .defines_malloc =
		(notes & VMT_NOTE_OWN_MALLOC) || vmt_process_head(process)->heap_functions != 0,
	};

	process->sampling.searched = true;
	if (job.exe_fd < 0)
		return;
	/* What was opened may be a successor's. */
	if (process->maps_fd >= 0 && vmt_procfs_is_mapped(process->maps_fd))
		(void)vmt_allocator_scan_take(&job, &process->writer);
	vmt_sys_close(job.exe_fd);
}

static void
note_title(struct vmt_traced *process)
{
	struct vmt_title_job job = {.pid = process->pid,
				    .maps_fd = process->maps_fd,
				    .clock = process->layout.clock,
				    .head = &process->layout,
				    .known = &process->title};

	(void)vmt_title_take(&job, &process->writer);
}

static void
copy_jit_map(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_jit_copy_job job = {.pid = process->pid,
				       .maps_fd = process->maps_fd,
				       .head = &process->layout,
				       .scratch = &shared->snapshot_scratch.payload,
				       .state = &process->jit};

	(void)vmt_jit_copy_take(&job, &process->writer);
}

/* One was taken, or tried: the next one is wanted when the next would be. */
static void
note_snapshot(struct vmt_traced *process, uint64_t now_ns)
{
	struct vmt_sampling *sampling = &process->sampling;

	vmt_demand_note_snapshot(&sampling->demand, &process->drain.held,
				 now_ns - sampling->snapshot_ns, wants_snapshot(process, now_ns));
	sampling->snapshot_ns = now_ns;
	sampling->snapshot_rss_bytes = sampling->rss_bytes;
	sampling->snapshot_faults = sampling->faults;
}

static void
keep_private(struct vmt_sampling *sampling, const struct vmt_snapshot_head *taken)
{
	uint64_t bytes = taken->kernel.private_bytes;

	if (bytes == VMT_FIGURE_UNKNOWN && taken->shared_rss_bytes <= taken->resident_bytes)
		bytes = taken->resident_bytes - taken->shared_rss_bytes;
	if (bytes != VMT_FIGURE_UNKNOWN && bytes > sampling->most_private_bytes)
		sampling->most_private_bytes = bytes;
	sampling->lacks_shares = taken->shared_rss_bytes == VMT_FIGURE_UNKNOWN ||
				 taken->kernel.proportional_bytes == VMT_FIGURE_UNKNOWN;
}

static uint64_t
next_settle_ns(const struct vmt_sampling *sampling)
{
	uint64_t settle_ns = 2 * (sampling->settle_ns ? sampling->settle_ns : SETTLE_NS);

	return settle_ns < PERIOD_NS ? settle_ns : PERIOD_NS;
}

static void
snapshot(struct vmt_traced *process, struct vmt_shared *shared, uint32_t reason, bool asked_for)
{
	struct vmt_sampling *sampling = &process->sampling;
	uint64_t before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID), cost_ns;
	struct vmt_snapshot_head taken;
	struct vmt_snapshot_job job = {
	    .residency = {.source = process->pagemap_fd < 0 ? VMT_RESIDENCY_NONE : shared->source,
			  .pagemap_fd = process->pagemap_fd,
			  .page_bytes = process->layout.page_bytes,
			  .zero_frame = shared->zero_frame,
			  .knows_guards = shared->knows_guards,
			  .shares = vmt_snapshot_extras_shares(process, shared, reason),
			  .scratch = shared->residency_scratch,
			  .pause = shared->pause,
			  .pause_context = shared->context},
	    .maps_fd = process->maps_fd,
	    .statm_fd = process->statm_fd,
	    .pid = process->pid,
	    .rollup_fd = vmt_snapshot_extras_rollup(process, shared, reason, asked_for)
			     ? process->rollup_fd
			     : -1,
	    .clock = process->layout.clock,
	    .reason = (enum vmt_snapshot_reason)reason,
	    .index = sampling->snapshots,
	    .scratch = &shared->snapshot_scratch,
	};
	int result;

	vmt_assert(process->state == VMT_PROCESS_LIVE && !process->trace_closed);
	vmt_assert(reason >= VMT_SNAPSHOT_FIRST && reason <= VMT_SNAPSHOT_REQUEST);
	if (process->bound.is_full)
		return;
	(void)vmt_go_counters_take(vmt_process_head(process), process->pid, process->maps_fd,
				   sampling->snapshots, &shared->snapshot_scratch.payload,
				   &process->writer);
	vmt_snapshot_extras_read_go(process, shared, reason);
	note_allocator(process);
	note_tasks(process, shared);
	note_title(process);
	copy_jit_map(process, shared);
	result = process->maps_fd >= 0 ? vmt_snapshot_take(&job, &process->writer, &taken) : -ESRCH;
	if (result == 0)
		vmt_usage_readings_note_peak(sampling, taken.peak_rss_bytes,
					     vmt_ticks_monotonic_ns());
	sampling->snapshots += result == 0;
	sampling->snapshots_skipped += result == -EFBIG;
	if (result == 0)
		keep_private(sampling, &taken);
	note_snapshot(process, vmt_ticks_monotonic_ns());
	sampling->settle_ns =
	    reason == VMT_SNAPSHOT_PERIODIC ? next_settle_ns(sampling) : SETTLE_NS;
	/* What is held here is lost where this process is killed as well. */
	(void)vmt_usage_readings_flush(process, sampling->snapshot_ns);
	sampling->skip_counted = false;
	cost_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	shared->apart_ns += cost_ns;
	if (!asked_for)
		vmt_cpu_budget_spend(&shared->credit, cost_ns);
}

bool
vmt_sampling_is_asked(const struct vmt_traced *process)
{
	const struct vmt_head *head = vmt_process_head(process);

	return vmt_atomic_load_acquire(&head->snapshot_wanted) !=
	       vmt_atomic_load_relaxed(&head->snapshot_done);
}

static void
say_done(struct vmt_head *head, uint32_t wanted)
{
	vmt_atomic_store_release(&head->snapshot_done, wanted);
	vmt_sys_call3(SYS_futex, &head->snapshot_done, FUTEX_WAKE, INT_MAX);
}

void
vmt_sampling_decline(struct vmt_traced *process)
{
	struct vmt_head *head = vmt_process_head(process);

	say_done(head, vmt_atomic_load_acquire(&head->snapshot_wanted));
}

/* Where a cgroup's account would tell nothing of the process, and cost as much as all the rest. */
static bool
is_brief(const struct vmt_traced *process, uint64_t now_ns)
{
	return now_ns < process->layout.clock_start.monotonic_ns + EARLY_NS &&
	       process->sampling.rss_bytes < BRIEF_MOST_BYTES;
}

/* A process that asks waits for the answer: a snapshot that failed is answered, too. */
static void
answer(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	struct vmt_head *head = vmt_process_head(process);
	uint32_t wanted = vmt_atomic_load_acquire(&head->snapshot_wanted);
	bool leaving = has_said_its_end(process);

	vmt_assert(process->state == VMT_PROCESS_LIVE);
	vmt_atomic_store_release(&head->snapshot_begun, wanted);
	if (!leaving)
		vmt_usage_readings_find_cgroup(process, shared);
	vmt_usage_readings_take(process, shared, now_ns, leaving);
	snapshot(process, shared, leaving ? VMT_SNAPSHOT_EXIT : VMT_SNAPSHOT_REQUEST, true);
	/* As long as it waits it can be asked; at the last write of its page faults it may be gone.
	 */
	if (process->touch.wanted && !process->touch.replaced) {
		vmt_touch_counts_read(&process->touch.counts, process->stat_fd);
		process->touch.counts.is_final = leaving;
	}
	process->leaving = leaving && process->elsewhere && !process->head_writer.copy;
	if (!process->leaving)
		say_done(head, wanted);
	if (!leaving)
		return;
	/* Its memory is let go while it goes. */
	process->sampling.next_ns = now_ns + process->sampling.interval_ns;
	if (!is_brief(process, now_ns))
		vmt_usage_readings_find_cgroup(process, shared);
}

void
vmt_sampling_look(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns,
		  enum vmt_snapshot_reason reason)
{
	vmt_sampling_read(process, shared, now_ns);
	snapshot(process, shared, reason, true);
}

/* Whether a snapshot that nobody asks for is not too soon for a trace that must not grow. */
static bool
is_far_enough(const struct vmt_traced *process, uint64_t now_ns)
{
	const struct vmt_bound *bound = &process->bound;
	uint64_t distance_ns = vmt_bound_distance_ns(bound, bound->snapshot_part, now_ns);

	return !bound->is_full && now_ns - process->sampling.snapshot_ns >= distance_ns;
}

/* It may change at any time. The collector's own counts: its CPU time is charged there. */
static void
heed_quota(struct vmt_shared *shared, uint64_t now_ns)
{
	uint64_t before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint32_t part = VMT_CPU_BUDGET_WHOLE;
	struct vmt_cgroup cgroup;

	if (vmt_cgroup_find(&cgroup, 0, "cpu"))
		part = vmt_cgroup_read_cpu(&cgroup);
	vmt_cpu_budget_set_part(&shared->credit, now_ns, part);
	vmt_cpu_budget_spend(&shared->credit,
			     vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns);
	shared->quota_due_ns = now_ns + QUOTA_NS;
}

/* Most fork children that have done nothing yet are about to end or to execute something. */
static bool
is_too_early(const struct vmt_traced *process, uint64_t now_ns)
{
	return (process->layout.notes & VMT_NOTE_FORKED) && process->drain.deeds == 0 &&
	       process->sampling.snapshot_ns == 0 && !vmt_untraced_notes_has_own(process) &&
	       now_ns < process->layout.clock_start.monotonic_ns + EARLY_NS;
}

static void
consider(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	struct vmt_sampling *sampling = &process->sampling;
	bool has_credit = vmt_cpu_budget_is_there(&shared->credit, now_ns);
	uint32_t reason =
	    own_reason(process, shared, now_ns, vmt_cpu_budget_is_scarce(&shared->credit));

	/* Who has said that it leaves has had its last snapshot, and may be gone half-way through.
	 */
	if (!reason || !is_far_enough(process, now_ns) || is_too_early(process, now_ns) ||
	    has_said_its_end(process))
		return;
	if (vmt_bound_is_scarce(&process->bound)) {
		sampling->snapshots_skipped++;
		note_snapshot(process, now_ns);
	} else if (has_credit) {
		snapshot(process, shared, reason, false);
	} else if (!sampling->skip_counted) {
		sampling->snapshots_skipped++;
		sampling->skip_counted = true;
	}
}

/* The next visit looks whether it is. */
static bool
may_be_another(const struct vmt_traced *process)
{
	return process->sampling.lost_sight && process->stat_fd >= 0;
}

static uint64_t
next_reading_ns(const struct vmt_traced *process, const struct vmt_shared *shared, uint64_t now_ns)
{
	const struct vmt_bound *bound = &process->bound;
	uint64_t distance_ns = vmt_bound_distance_ns(bound, bound->usage_part, now_ns);
	uint64_t interval_ns = process->sampling.interval_ns;
	uint64_t wait_ns = vmt_cpu_budget_wait_ns(&shared->credit);

	if (may_be_another(process))
		return VMT_USAGE_READINGS_FASTEST_NS;
	if (shared->host->interval_ns == 0 && wait_ns > interval_ns)
		interval_ns = wait_ns;
	return interval_ns > distance_ns ? interval_ns : distance_ns;
}

/* Events say that there is something to be seen before the next reading is due. Not where the host
 * has fixed when RSS is read, nor where a trace must not grow. */
static bool
is_sooner(const struct vmt_traced *process, const struct vmt_shared *shared, uint64_t now_ns)
{
	const struct vmt_bound *bound = &process->bound;
	const struct vmt_demand *demand = &process->sampling.demand;

	return shared->host->interval_ns == 0 &&
	       vmt_bound_distance_ns(bound, bound->usage_part, now_ns) == 0 &&
	       ((wants_snapshot(process, now_ns) &&
		 now_ns - demand->read_ns >= VMT_USAGE_READINGS_PEAK_NS) ||
		vmt_demand_wants_reading(demand, &process->drain.held, now_ns));
}

void
vmt_sampling_round(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns)
{
	struct vmt_sampling *sampling = &process->sampling;

	vmt_assert(process->state == VMT_PROCESS_LIVE);
	if (vmt_sampling_is_asked(process))
		answer(process, shared, now_ns);
	if (now_ns >= sampling->next_ns || is_sooner(process, shared, now_ns)) {
		vmt_sampling_read(process, shared, now_ns);
		if (now_ns >= shared->quota_due_ns)
			heed_quota(shared, now_ns);
		if (!may_be_another(process))
			consider(process, shared, now_ns);
		sampling->next_ns = now_ns + next_reading_ns(process, shared, now_ns);
	}
	if (sampling->usage_count == VMT_PROCESS_USAGES ||
	    now_ns - sampling->flushed_ns >=
		(sampling->near_limit ? VMT_USAGE_READINGS_NEAR_LIMIT_NS : FLUSH_NS))
		(void)vmt_usage_readings_flush(process, now_ns);
}
