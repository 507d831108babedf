#include "collect/touch_sampling.h"

#include "base/pages.h"
#include "base/ticks.h"
#include "collect/tasks.h"
#include "collect/touch_record.h"
#include "collect/touch_rings.h"
#include "collect/touch_walk.h"
#include "collect/trace_clock.h"
#include "collect/wake_signal.h"
#include "format/settings.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/resource.h>

#define MILLISECOND UINT64_C(1000000)

#define FLUSH_NS (100 * MILLISECOND)
/* Two readings of the clocks this far apart give their rate well enough. */
#define PAIR_NS MILLISECOND
#define PAIR_TRIES 3u
/* Descriptors that are left to all else: a process takes nine. */
#define SPARED_DESCRIPTORS 64

static struct vmt_touch_ring *
rings_of(const struct vmt_touch *touch)
{
	return (struct vmt_touch_ring *)(void *)touch->rings.bytes;
}

static int *
fds_of(const struct vmt_touch_target *target)
{
	return (int *)(void *)target->fds.bytes;
}

static void
try_kernel(struct vmt_touch *touch)
{
	int result;

	result = vmt_buffer_reserve(&touch->record, VMT_TOUCH_RECORD_MAX_BYTES)
		     ? vmt_touch_events_probe(&touch->events)
		     : -ENOMEM;
	if (result == 0)
		result = vmt_touch_rings_open(touch);
	if (result == 0)
		(void)vmt_wake_signal_begin();
	touch->refused = -result;
}

void
vmt_touch_sampling_begin(struct vmt_touch *touch, const struct vmt_collector_host *host,
			 struct vmt_traced *const *processes, const uint32_t *used)
{
	*touch = (struct vmt_touch){.wanted = host->touch_period,
				    .period = host->touch_period == VMT_PERIOD_AUTO
						  ? VMT_TOUCH_AUTO_PERIOD
						  : host->touch_period,
				    .processes = processes,
				    .used = used};
	if (touch->wanted != VMT_PERIOD_OFF)
		try_kernel(touch);
}

void
vmt_touch_sampling_end(struct vmt_touch *touch)
{
	vmt_touch_rings_close(touch);
	vmt_frame_rules_free(&touch->rules);
	vmt_buffer_free(&touch->record);
	vmt_buffer_free(&touch->payload);
	if (touch->wanted != VMT_PERIOD_OFF)
		vmt_wake_signal_end();
}

static void
close_events(struct vmt_touch_target *target)
{
	for (uint32_t i = 0; i < target->fd_count; i++)
		vmt_sys_close(fds_of(target)[i]);
	target->fd_count = 0;
	vmt_buffer_free(&target->fds);
}

static int
keep_fd(struct vmt_touch_target *target, int fd, int most)
{
	if (!vmt_buffer_reserve(&target->fds, (target->fd_count + 1) * sizeof(int))) {
		vmt_sys_close(fd);
		return -ENOMEM;
	}
	fds_of(target)[target->fd_count++] = fd;
	return fd < most ? 0 : -EMFILE;
}

/* The highest descriptor that may be taken: the kernel gives the lowest that is free. */
static int
most_descriptors(void)
{
	struct rlimit limit;

	if (vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) < 0 ||
	    limit.rlim_cur > INT32_MAX)
		return INT32_MAX;
	return (int)limit.rlim_cur - SPARED_DESCRIPTORS;
}

/* One thread that has ended meanwhile is no matter. */
static int
open_on_thread(struct vmt_touch *touch, struct vmt_touch_target *target, uint32_t tid, int most)
{
	for (uint32_t i = 0; i < touch->ring_count; i++) {
		const struct vmt_touch_ring *ring = &rings_of(touch)[i];
		int fd =
		    vmt_touch_events_open(&touch->events, touch->period, tid, ring->cpu, ring->fd);
		int result = fd < 0 ? fd : keep_fd(target, fd, most);

		if (result == -ESRCH)
			return 0;
		if (result < 0 && result != -ENODEV)
			return result;
	}
	return 0;
}

static int
open_on_all(struct vmt_touch *touch, struct vmt_traced *process)
{
	uint32_t count = 0;
	int most = most_descriptors();
	int result = vmt_tasks_read(process->pid, &touch->payload, &count);

	for (uint32_t i = 0; i < count && result == 0; i++)
		result =
		    open_on_thread(touch, &process->touch,
				   ((const uint32_t *)(const void *)touch->payload.bytes)[i], most);
	if (result < 0)
		close_events(&process->touch);
	return result;
}

static void
read_counts(struct vmt_traced *process)
{
	struct vmt_touch_target *target = &process->touch;
	struct vmt_procfs_stat stat;

	if (process->stat_fd < 0 || !vmt_procfs_read_stat(process->stat_fd, &stat) ||
	    stat.minor_faults < target->minor_from || stat.major_faults < target->major_from)
		return;
	target->minor_faults = stat.minor_faults - target->minor_from;
	target->major_faults = stat.major_faults - target->major_from;
}

static void
begin_counts(struct vmt_traced *process)
{
	struct vmt_touch_target *target = &process->touch;

	target->minor_from = target->major_from = 0;
	read_counts(process);
	target->minor_from = target->minor_faults;
	target->major_from = target->major_faults;
	target->minor_faults = target->major_faults = 0;
}

static struct vmt_traced *
find_holder(const struct vmt_touch *touch, uint32_t pid)
{
	for (uint32_t i = 0; i < *touch->used; i++) {
		struct vmt_traced *process = touch->processes[i];

		if (process->pid == pid && process->touch.fd_count != 0)
			return process;
	}
	return NULL;
}

/* What the events have lost by now belongs to the earlier image. */
static void
hand_over(struct vmt_traced *from, struct vmt_traced *to, struct vmt_shared *shared)
{
	vmt_touch_sampling_flush(from, shared);
	to->touch.fds = from->touch.fds;
	to->touch.fd_count = from->touch.fd_count;
	to->touch.lost_before = from->touch.lost_before + from->touch.lost_events;
	from->touch.fds = (struct vmt_buffer){0};
	from->touch.fd_count = 0;
	from->touch.wanted = false;
}

static uint32_t
flags_of(const struct vmt_touch *touch, const struct vmt_touch_target *target)
{
	if (target->refused != 0)
		return VMT_TOUCH_REFUSED;
	return (touch->events.kernel ? VMT_TOUCH_KERNEL_FAULTS : 0) |
	       (touch->events.has & VMT_TOUCH_HAS_SIZE ? VMT_TOUCH_PAGE_SIZES : 0) |
	       (touch->events.inherit ? VMT_TOUCH_INHERITED : 0);
}

static int
write_batch(struct vmt_traced *process, struct vmt_touch *touch)
{
	struct vmt_touch_target *target = &process->touch;
	struct vmt_touch_head head = {
	    .period = target->refused ? 0 : touch->period,
	    .minor_faults = target->refused ? VMT_FIGURE_UNKNOWN : target->minor_faults,
	    .major_faults = target->refused ? VMT_FIGURE_UNKNOWN : target->major_faults,
	    .samples_lost = target->lost + target->lost_events,
	    .flags = flags_of(touch, target),
	    .refused = (uint32_t)target->refused,
	};

	target->flushed_ns = vmt_ticks_monotonic_ns();
	if (process->trace_closed)
		return -EAGAIN;
	return vmt_touch_batch_write(&target->batch, &head,
				     vmt_trace_clock_now(process->layout.clock), &touch->payload,
				     &process->writer);
}

void
vmt_touch_sampling_open(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_touch *touch = &shared->touch;
	struct vmt_touch_target *target = &process->touch;
	struct vmt_traced *earlier;

	if (touch->wanted == VMT_PERIOD_OFF)
		return;
	target->wanted = true;
	target->refused = touch->refused;
	earlier = find_holder(touch, process->pid);
	if (target->refused == 0)
		vmt_touch_walk_begin(process, &touch->rules);
	begin_counts(process);
	if (target->refused == 0 && earlier)
		hand_over(earlier, process, shared);
	else if (target->refused == 0)
		target->refused = -open_on_all(touch, process);
	(void)write_batch(process, touch);
}

static uint64_t
read_losses(const struct vmt_touch *touch, const struct vmt_touch_target *target)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < target->fd_count; i++)
		lost += vmt_touch_events_read_lost(&touch->events, fds_of(target)[i]);
	return lost - target->lost_before;
}

static void
write_now(struct vmt_traced *process, struct vmt_touch *touch)
{
	struct vmt_touch_target *target = &process->touch;

	read_counts(process);
	if (touch->events.counts_losses && target->fd_count != 0)
		target->lost_events = read_losses(touch, target);
	(void)write_batch(process, touch);
}

/* Of the image that runs now. */
static struct vmt_traced *
find(struct vmt_touch *touch, uint32_t pid)
{
	for (uint32_t i = 0; i < *touch->used; i++) {
		uint32_t index = (touch->last + i) % *touch->used;
		struct vmt_traced *process = touch->processes[index];

		if (process->pid != pid || process->touch.fd_count == 0)
			continue;
		touch->last = index;
		return process;
	}
	return NULL;
}

/* The clock of a trace at an instant of the system's: by a line through two readings, near both.
 */
static uint64_t
ticks_at(const struct vmt_touch *touch, uint32_t clock, uint64_t time_ns)
{
	const struct vmt_clock_pair *older = &touch->older;
	const struct vmt_clock_pair *newer = &touch->newer;
	uint64_t ns = newer->monotonic_ns - older->monotonic_ns;
	uint64_t ticks = newer->ticks - older->ticks;
	uint64_t before_ns = newer->monotonic_ns - time_ns;

	if (clock != VMT_CLOCK_TSC)
		return time_ns;
	if (ns == 0)
		return newer->ticks;
	if (time_ns > newer->monotonic_ns)
		return newer->ticks +
		       (uint64_t)((unsigned __int128)(time_ns - newer->monotonic_ns) * ticks / ns);
	return newer->ticks - (uint64_t)((unsigned __int128)before_ns * ticks / ns);
}

static uint8_t
shift_of(uint64_t page_bytes)
{
	return page_bytes ? (uint8_t)(63 - __builtin_clzll(page_bytes)) : 0;
}

static void
add_sample(struct vmt_traced *process, struct vmt_touch *touch, const struct vmt_touch_fault *fault)
{
	struct vmt_touch_target *target = &process->touch;
	struct vmt_touch_stack stack;
	struct vmt_touch_sample sample = {
	    .time = ticks_at(touch, process->layout.clock, fault->time),
	    .address = vmt_pages_down(fault->address, VMT_PAGE_LEAST_BYTES),
	    .thread = fault->tid,
	    .page_shift = shift_of(fault->page_bytes),
	    .kernel = fault->kernel,
	};

	target->fresh++;
	/* Before its trace began: of the image that was there, or of its start. */
	if (sample.time < process->layout.clock_start.ticks)
		return;
	vmt_touch_walk_take(process, fault, &stack);
	if (vmt_touch_batch_add(&target->batch, &sample, &stack))
		return;
	write_now(process, touch);
	if (vmt_touch_batch_add(&target->batch, &sample, &stack))
		return;
	target->lost += target->batch.sample_count + 1u;
	vmt_touch_batch_drop(&target->batch);
}

static void
take_record(struct vmt_touch *touch, const struct vmt_touch_record *record)
{
	struct vmt_touch_fault fault;
	struct vmt_traced *process;
	struct vmt_mapping mapping;
	uint64_t lost;
	uint32_t pid;

	if (record->type == PERF_RECORD_SAMPLE &&
	    vmt_touch_record_read(record, touch->events.has, &fault)) {
		process = find(touch, fault.pid);
		if (process)
			add_sample(process, touch, &fault);
	} else if (vmt_touch_record_read_mapped(record, &pid, &mapping)) {
		process = find(touch, pid);
		if (process)
			vmt_touch_walk_mapped(process, &mapping);
	} else if (vmt_touch_record_read_lost(record, &pid, &lost)) {
		process = find(touch, pid);
		if (process && !touch->events.counts_losses)
			process->touch.lost_events += lost;
	}
}

/* Both clocks: the counter's reading lies in the middle of two around the other one. */
static struct vmt_clock_pair
read_pair(void)
{
	struct vmt_clock_pair best = {0, 0};
	uint64_t shortest = UINT64_MAX;

	for (unsigned i = 0; i < PAIR_TRIES; i++) {
		uint64_t before = vmt_ticks_counter();
		uint64_t monotonic_ns = vmt_ticks_monotonic_ns();
		uint64_t took = vmt_ticks_counter() - before;

		if (took >= shortest)
			continue;
		shortest = took;
		best = (struct vmt_clock_pair){before + took / 2, monotonic_ns};
	}
	return best;
}

static void
read_clocks(struct vmt_touch *touch)
{
	struct vmt_clock_pair now = read_pair();

	if (touch->older.monotonic_ns == 0 ||
	    now.monotonic_ns - touch->newer.monotonic_ns >= PAIR_NS)
		touch->older = touch->newer.monotonic_ns ? touch->newer : now;
	touch->newer = now;
}

/* The ring with the earliest record; NULL: none has one. */
static struct vmt_touch_ring *
earliest(const struct vmt_touch *touch)
{
	struct vmt_touch_ring *found = NULL;
	uint64_t found_time = 0;

	for (uint32_t i = 0; i < touch->ring_count; i++) {
		struct vmt_touch_ring *ring = &rings_of(touch)[i];
		uint64_t time;

		if (vmt_touch_ring_next(ring, &time) && (!found || time < found_time)) {
			found = ring;
			found_time = time;
		}
	}
	return found;
}

static void
drain_rings(struct vmt_touch *touch)
{
	struct vmt_touch_ring *ring;

	for (uint32_t i = 0; i < touch->ring_count; i++)
		vmt_touch_ring_look(&rings_of(touch)[i]);
	read_clocks(touch);
	while ((ring = earliest(touch)) != NULL) {
		struct vmt_touch_record record;

		vmt_touch_ring_take(ring, touch->record.bytes, &record);
		take_record(touch, &record);
		vmt_touch_ring_give_back(ring);
	}
	for (uint32_t i = 0; i < touch->ring_count; i++)
		vmt_touch_ring_give_back(&rings_of(touch)[i]);
	vmt_frame_rules_rest(&touch->rules);
}

/* What it has cost is shared out by the samples that each has got. */
static void
charge(const struct vmt_touch *touch, uint64_t cpu_ns)
{
	uint64_t samples = 0;

	for (uint32_t i = 0; i < *touch->used; i++)
		samples += touch->processes[i]->touch.fresh;
	for (uint32_t i = 0; i < *touch->used && samples != 0; i++) {
		struct vmt_traced *process = touch->processes[i];

		process->cpu_ns += cpu_ns * process->touch.fresh / samples;
		process->touch.fresh = 0;
	}
}

static void
drain(struct vmt_touch *touch)
{
	uint64_t before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	drain_rings(touch);
	charge(touch, vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns);
}

void
vmt_touch_sampling_round(struct vmt_shared *shared, uint64_t now_ns)
{
	struct vmt_touch *touch = &shared->touch;

	if (touch->ring_count == 0)
		return;
	drain(touch);
	for (uint32_t i = 0; i < *touch->used; i++) {
		struct vmt_traced *process = touch->processes[i];

		if (process->touch.batch.sample_count != 0 &&
		    now_ns - process->touch.flushed_ns >= FLUSH_NS)
			write_now(process, touch);
	}
}

void
vmt_touch_sampling_flush(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_touch *touch = &shared->touch;

	if (!process->touch.wanted || process->touch.refused)
		return;
	drain(touch);
	write_now(process, touch);
}

void
vmt_touch_sampling_close(struct vmt_traced *process, struct vmt_shared *shared)
{
	vmt_touch_sampling_flush(process, shared);
	vmt_touch_sampling_abandon(process);
}

void
vmt_touch_sampling_abandon(struct vmt_traced *process)
{
	struct vmt_touch_target *target = &process->touch;

	close_events(target);
	vmt_touch_walk_end(process);
	vmt_touch_batch_free(&target->batch);
	target->wanted = false;
}
