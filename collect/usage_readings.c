/* RSS, the kernel's largest RSS and the cgroup's figures, at one moment after another. */
#include "collect/usage_readings.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "collect/address_space.h"
#include "collect/cgroup_cache.h"
#include "collect/trace_clock.h"
#include "collect/untraced_notes.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND (1000 * MILLISECOND)

#define CGROUP_NS SECOND
#define PEAK_NS VMT_USAGE_READINGS_PEAK_NS
#define NEAR_LIMIT_NS VMT_USAGE_READINGS_NEAR_LIMIT_NS
#define FASTEST_NS VMT_USAGE_READINGS_FASTEST_NS
#define SLOWEST_NS SECOND
/* Of an unnamed trace, whose process may end soon. */
#define UNNAMED_SLOWEST_NS (50 * MILLISECOND)
#define MOVES_FAST_PART 100u /* from one reading to the next */

/* Once for each process: whoever waits for its last snapshot waits for no more. */
void
vmt_usage_readings_find_cgroup(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_sampling *sampling = &process->sampling;

	if (sampling->cgroup_sought)
		return;
	sampling->cgroup_sought = true;
	sampling->cgroup = vmt_cgroup_cache_find(&shared->cgroups, process->pid);
}

static void
pace(struct vmt_sampling *sampling, const struct vmt_shared *shared, bool moved,
     uint64_t slowest_ns)
{
	if (shared->host->interval_ns)
		return;
	sampling->interval_ns += sampling->interval_ns / 2;
	if (moved)
		sampling->interval_ns = FASTEST_NS;
	if (sampling->interval_ns > slowest_ns)
		sampling->interval_ns = slowest_ns;
	vmt_assert(sampling->interval_ns >= FASTEST_NS);
}

int
vmt_usage_readings_flush(struct vmt_traced *process, uint64_t now_ns)
{
	struct vmt_sampling *sampling = &process->sampling;
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_USAGE,
				  .record_bytes = sizeof(struct vmt_usage)};
	int result;

	(void)vmt_untraced_notes_flush(process);
	vmt_assert(sampling->usage_count <= VMT_PROCESS_USAGES);
	sampling->flushed_ns = now_ns;
	if (sampling->usage_count == 0)
		return 0;
	chunk.time_min = sampling->usages[0].time;
	chunk.time_max = sampling->usages[sampling->usage_count - 1].time;
	result = vmt_writer_append(&process->writer, &chunk, sampling->usages,
				   sampling->usage_count * sizeof(sampling->usages[0]));
	if (result == 0)
		sampling->usage_count = 0;
	return result;
}

void
vmt_usage_readings_note_peak(struct vmt_sampling *sampling, uint64_t peak_rss_bytes,
			     uint64_t now_ns)
{
	sampling->peak_read_ns = now_ns;
	if (peak_rss_bytes != VMT_FIGURE_UNKNOWN && peak_rss_bytes > sampling->peak_rss_bytes)
		sampling->peak_rss_bytes = peak_rss_bytes;
}

/* The kernel's own count of the largest RSS, once in a while: it costs several times what statm
 * does, and forgets nothing. */
static uint64_t
read_peak(struct vmt_traced *process, uint64_t now_ns, bool hasty)
{
	struct vmt_procfs_status status;
	int fd;

	if (hasty || now_ns - process->sampling.peak_read_ns < PEAK_NS)
		return VMT_FIGURE_UNKNOWN;
	fd = vmt_procfs_open(process->pid, "status");
	if (fd < 0 || !vmt_procfs_read_status(fd, &status))
		status.peak_rss_bytes = VMT_FIGURE_UNKNOWN;
	if (fd >= 0)
		vmt_sys_close(fd);
	return status.peak_rss_bytes;
}

/* Three quarters of what the cgroup may use: the next moment may be the last, of the collector too,
 * and what it has not written by then is lost. */
static bool
is_near_limit(const struct vmt_usage *usage)
{
	uint64_t used = usage->rss_bytes;

	if (usage->cgroup_anon_bytes != VMT_FIGURE_UNKNOWN && usage->cgroup_anon_bytes > used)
		used = usage->cgroup_anon_bytes;
	if (usage->cgroup_shmem_bytes != VMT_FIGURE_UNKNOWN)
		used += usage->cgroup_shmem_bytes;
	return usage->cgroup_limit_bytes != VMT_FIGURE_UNKNOWN &&
	       used >= usage->cgroup_limit_bytes - usage->cgroup_limit_bytes / 4;
}

/* Writing to pages that it inherited does not move the RSS of a fork child: its page faults tell.
 * True: there are more than at the last reading. */
static bool
read_faults(struct vmt_traced *process)
{
	struct vmt_procfs_stat stat;
	uint64_t before = process->sampling.faults;

	if (!(process->outside || process->shared->is_tree) || process->stat_fd < 0 ||
	    !vmt_procfs_read_stat(process->stat_fd, &stat))
		return false;
	process->sampling.faults = stat.minor_faults;
	return process->outside && stat.minor_faults != before;
}

/* Where events asked for it, the next one follows soon. */
static void
note_reading(struct vmt_traced *process, const struct vmt_shared *shared, uint64_t rss_bytes,
	     uint64_t now_ns)
{
	struct vmt_sampling *sampling = &process->sampling;
	uint64_t soon_ns =
	    vmt_demand_note_reading(&sampling->demand, &process->drain.held, rss_bytes, now_ns);

	if (soon_ns != 0 && soon_ns < sampling->interval_ns && !shared->host->interval_ns)
		sampling->interval_ns = soon_ns;
}

void
vmt_usage_readings_take(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns,
			bool hasty)
{
	struct vmt_sampling *sampling = &process->sampling;
	struct vmt_procfs_statm statm;
	struct vmt_usage *usage;
	uint64_t rss_bytes, peak_rss_bytes;
	bool faulted;

	/* A process whose first thread has left shows nothing here. */
	if (process->statm_fd < 0 || !vmt_procfs_read_statm(process->statm_fd, &statm) ||
	    statm.virtual_pages == 0)
		return;
	peak_rss_bytes = read_peak(process, now_ns, hasty);
	/* What one that has said its end calls itself, tells nothing more. */
	sampling->lost_sight =
	    hasty ? !vmt_address_space_is_mapped(process) : !vmt_address_space_is_there(process);
	if (sampling->lost_sight)
		return;
	/* With a disk that stays full, the newest figure takes the last one's place. */
	if (sampling->usage_count == VMT_PROCESS_USAGES)
		sampling->usage_count--;
	vmt_assert(sampling->usage_count < VMT_PROCESS_USAGES);
	usage = &sampling->usages[sampling->usage_count++];
	rss_bytes = statm.resident_pages * process->layout.page_bytes;
	vmt_cgroup_cache_fill(sampling->cgroup, usage, now_ns,
			      hasty		     ? UINT64_MAX
			      : sampling->near_limit ? NEAR_LIMIT_NS
						     : CGROUP_NS);
	usage->time = vmt_trace_clock_now(process->layout.clock);
	usage->monotonic_ns = now_ns;
	usage->rss_bytes = rss_bytes;
	usage->virtual_bytes = statm.virtual_pages * process->layout.page_bytes;
	usage->peak_rss_bytes = peak_rss_bytes;
	if (peak_rss_bytes != VMT_FIGURE_UNKNOWN)
		vmt_usage_readings_note_peak(sampling, peak_rss_bytes, now_ns);
	faulted = read_faults(process);
	pace(sampling, shared, faulted || rss_bytes != sampling->rss_bytes,
	     process->unnamed ? UNNAMED_SLOWEST_NS : SLOWEST_NS);
	note_reading(process, shared, rss_bytes, now_ns);
	sampling->moves_fast = vmt_usage_readings_distance(rss_bytes, sampling->rss_bytes) >
			       rss_bytes / MOVES_FAST_PART;
	sampling->rss_bytes = rss_bytes;
	if (rss_bytes > sampling->peak_rss_bytes)
		sampling->peak_rss_bytes = rss_bytes;
	sampling->near_limit = is_near_limit(usage);
}

static bool
has_said_its_end(const struct vmt_traced *process)
{
	return vmt_atomic_load_relaxed(&vmt_process_head(process)->end) != VMT_END_RUNNING;
}

void
vmt_usage_readings_end(struct vmt_traced *process, uint64_t now_ns)
{
	struct vmt_sampling *sampling = &process->sampling;
	struct vmt_usage *usage;

	if (!sampling->cgroup || sampling->rss_bytes == 0)
		return;
	if (sampling->usage_count == VMT_PROCESS_USAGES)
		sampling->usage_count--;
	vmt_assert(sampling->usage_count < VMT_PROCESS_USAGES);
	usage = &sampling->usages[sampling->usage_count++];
	/* Who was killed for want of memory did not say that it leaves. */
	vmt_cgroup_cache_fill(sampling->cgroup, usage, now_ns,
			      has_said_its_end(process) ? NEAR_LIMIT_NS : 0);
	usage->time = vmt_trace_clock_now(process->layout.clock);
	usage->monotonic_ns = now_ns;
	usage->rss_bytes = sampling->rss_bytes;
	usage->virtual_bytes = VMT_FIGURE_UNKNOWN;
	usage->peak_rss_bytes = VMT_FIGURE_UNKNOWN;
}
