#include "collect/touch_sampling.h"

#include "base/pages.h"
#include "base/ticks.h"
#include "collect/touch_attach.h"
#include "collect/touch_cost.h"
#include "collect/touch_counts.h"
#include "collect/touch_record.h"
#include "collect/touch_rings.h"
#include "collect/touch_walk.h"
#include "collect/touch_write.h"
#include "collect/trace_clock.h"
#include "format/settings.h"

#include <errno.h>
#include <linux/perf_event.h>

#define MILLISECOND UINT64_C(1000000)

#define FLUSH_NS (100 * MILLISECOND)
#define FOLLOW_NS (500 * MILLISECOND)

static struct vmt_touch_ring *
rings_of(const struct vmt_touch *touch)
{
	return (struct vmt_touch_ring *)(void *)touch->rings.bytes;
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
	touch->events.tells_threads = vmt_touch_is_auto(touch) && touch->events.inherit;
	touch->refused = -result;
}

void
vmt_touch_sampling_begin(struct vmt_touch *touch, const struct vmt_collector_host *host,
			 struct vmt_traced *const *processes, const uint32_t *used)
{
	*touch = (struct vmt_touch){.wanted = host->touch_period,
				    .period = host->touch_period == VMT_PERIOD_AUTO
						  ? VMT_TOUCH_PACE_FIRST_PERIOD
						  : host->touch_period,
				    .processes = processes,
				    .due_ns = UINT64_MAX,
				    .used = used};
	vmt_touch_pace_begin(&touch->pace, vmt_ticks_monotonic_ns());
	vmt_touch_clock_read(&touch->clock);
	if (touch->wanted != VMT_PERIOD_OFF) {
		touch->folios = vmt_touch_folios_read(VMT_TOUCH_FOLIOS_DIRECTORY);
		try_kernel(touch);
	}
}

void
vmt_touch_sampling_end(struct vmt_touch *touch)
{
	vmt_touch_rings_close(touch);
	vmt_frame_rules_free(&touch->rules);
	vmt_buffer_free(&touch->record);
	vmt_buffer_free(&touch->payload);
}

static bool
is_sampled(const struct vmt_traced *process)
{
	return process->touch.wanted && process->touch.refused == 0;
}

/* Of the image that runs now. */
static struct vmt_traced *
find(struct vmt_touch *touch, uint32_t pid)
{
	for (uint32_t i = 0; i < *touch->used; i++) {
		uint32_t index = (touch->last + i) % *touch->used;
		struct vmt_traced *process = touch->processes[index];

		if (process->pid != pid || !is_sampled(process))
			continue;
		touch->last = index;
		return process;
	}
	return NULL;
}

/* What the events have lost by now belongs to the earlier image. Each is a thread's: where others
 * are not inherited, that of the thread that executed the new image goes by the wrong id. */
static int
hand_over(struct vmt_traced *from, struct vmt_traced *to, struct vmt_shared *shared)
{
	int result = 0;

	vmt_touch_sampling_flush(from, shared);
	if (from->touch.follows) {
		to->touch.follows = true;
		vmt_touch_attach_renounce(&shared->touch, &from->touch);
		result = vmt_touch_attach_open(&shared->touch, to);
	} else {
		vmt_touch_attach_hand_over(&from->touch, &to->touch);
	}
	from->touch.wanted = false;
	return result;
}

void
vmt_touch_sampling_open(struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_touch *touch = &shared->touch;
	struct vmt_touch_target *target = &process->touch;
	struct vmt_traced *earlier;

	if (touch->wanted == VMT_PERIOD_OFF)
		return;
	earlier = find(touch, process->pid);
	target->wanted = true;
	target->refused = touch->refused;
	vmt_process_head(process)->folios_always = touch->folios.always;
	vmt_process_head(process)->folios_advised = touch->folios.advised;
	if (target->refused == 0)
		vmt_touch_walk_begin(process, &touch->rules);
	vmt_touch_counts_begin(&target->counts, process->stat_fd);
	vmt_touch_cost_begin(target, vmt_ticks_monotonic_ns());
	target->follows = !touch->events.inherit;
	if (target->refused == 0 && earlier && earlier->touch.event_count != 0)
		target->refused = -hand_over(earlier, process, shared);
	else if (target->refused == 0)
		target->refused = -vmt_touch_attach_open(touch, process);
	(void)vmt_touch_write_chunk(process, touch);
	touch->due_ns = 0;
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
	    .time = vmt_touch_clock_ticks(&touch->clock, process->layout.clock, fault->time),
	    .address = vmt_pages_down(fault->address, VMT_PAGE_LEAST_BYTES),
	    .thread = fault->tid,
	    .page_shift = shift_of(fault->page_bytes),
	    .major = vmt_touch_attach_is_major(target, fault->event_id),
	    .kernel = fault->kernel,
	};

	target->fresh++;
	touch->samples++;
	if (target->rests_until_ns != 0) {
		target->lost++;
		return;
	}
	if (vmt_touch_is_auto(touch) && vmt_touch_pace_is_over(&touch->pace)) {
		target->skipped++;
		return;
	}
	/* Of the image that comes after it, or was there before it, or of its start. */
	if (target->replaced || sample.time < process->layout.clock_start.ticks)
		return;
	vmt_touch_walk_take(process, fault, &stack);
	if (vmt_touch_batch_add(&target->batch, &sample, &stack))
		return;
	vmt_touch_write_now(process, touch);
	if (vmt_touch_batch_add(&target->batch, &sample, &stack))
		return;
	vmt_touch_write_give_up(target);
	target->lost++;
}

static void
take_record(struct vmt_touch *touch, const struct vmt_touch_record *record)
{
	struct vmt_touch_fault fault;
	struct vmt_traced *process;
	struct vmt_mapping mapping;
	bool is_thread;
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
	} else if (vmt_touch_record_read_fork(record, &pid, &is_thread)) {
		process = find(touch, pid);
		if (process)
			vmt_cpu_budget_spend(
			    &process->touch.making,
			    vmt_touch_attach_cost_ns(touch, &process->touch, is_thread));
	} else if (vmt_touch_record_read_exec(record, &pid)) {
		process = find(touch, pid);
		if (process)
			process->touch.replaced = true;
	} else if (vmt_touch_record_read_lost(record, &pid, &lost)) {
		process = find(touch, pid);
		if (process && !touch->events.counts_losses)
			process->touch.lost_events += lost;
	}
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

/* What was passed over may have been anybody's: at least one sample counts as lost for each. */
static void
count_damage(struct vmt_touch *touch, struct vmt_touch_ring *ring)
{
	for (uint32_t i = 0; i < *touch->used && ring->damaged != 0; i++)
		if (is_sampled(touch->processes[i]))
			touch->processes[i]->touch.lost += ring->damaged;
	ring->damaged = 0;
}

static void
drain_rings(struct vmt_touch *touch)
{
	struct vmt_touch_ring *ring;

	for (uint32_t i = 0; i < touch->ring_count; i++)
		vmt_touch_ring_look(&rings_of(touch)[i]);
	vmt_touch_clock_read(&touch->clock);
	while ((ring = earliest(touch)) != NULL) {
		struct vmt_touch_record record;

		vmt_touch_ring_take(ring, touch->record.bytes, &record);
		take_record(touch, &record);
		touch->taken++;
		vmt_touch_ring_give_back(ring);
	}
	for (uint32_t i = 0; i < touch->ring_count; i++) {
		vmt_touch_ring_give_back(&rings_of(touch)[i]);
		count_damage(touch, &rings_of(touch)[i]);
	}
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

/* What the collector has done for samples since an instant of its CPU time. */
static void
account(struct vmt_shared *shared, uint64_t before_ns)
{
	struct vmt_touch *touch = &shared->touch;
	uint64_t cost_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;

	charge(touch, cost_ns);
	shared->apart_ns += cost_ns;
	if (vmt_touch_is_auto(touch))
		vmt_touch_pace_spend(&touch->pace, vmt_ticks_monotonic_ns(), shared->credit.part,
				     cost_ns);
}

static void
reopen(struct vmt_traced *process, struct vmt_touch *touch)
{
	int result = vmt_touch_attach_open(touch, process);

	if (result == 0)
		return;
	process->touch.refused = -result;
	(void)vmt_touch_write_chunk(process, touch);
}

/* What an event or its heirs are told once they are for ever: so they are closed, and opened anew.
 */
static void
change_period(struct vmt_touch *touch, uint64_t period)
{
	for (uint32_t i = 0; i < *touch->used; i++)
		if (is_sampled(touch->processes[i]))
			vmt_touch_attach_renounce(touch, &touch->processes[i]->touch);
	drain_rings(touch);
	for (uint32_t i = 0; i < *touch->used; i++)
		if (is_sampled(touch->processes[i]))
			vmt_touch_write_rest(touch->processes[i], touch);
	touch->period = period;
	for (uint32_t i = 0; i < *touch->used; i++)
		if (is_sampled(touch->processes[i]) && !touch->processes[i]->touch.rests_until_ns)
			reopen(touch->processes[i], touch);
}

static uint64_t
count_events(const struct vmt_touch *touch)
{
	uint64_t events = 0;

	for (uint32_t i = 0; i < *touch->used; i++)
		events += touch->processes[i]->touch.event_count;
	return events;
}

/* The period that is due, by the pace and by slips. */
static uint64_t
due_period(struct vmt_touch *touch, uint64_t now_ns)
{
	uint64_t period =
	    vmt_touch_is_auto(touch) ? vmt_touch_pace_period(&touch->pace, now_ns) : touch->wanted;

	if (vmt_touch_pace_may_slip(touch->samples, touch->samples - touch->samples_slipped,
				    count_events(touch))) {
		touch->samples_slipped = touch->samples;
		touch->slips++;
	}
	return vmt_touch_pace_slip(period, touch->slips);
}

/* Its events are closed, and opened anew in another way, or later. */
static void
stop_events(struct vmt_traced *process, struct vmt_touch *touch)
{
	vmt_touch_attach_renounce(touch, &process->touch);
	drain_rings(touch);
	vmt_touch_write_rest(process, touch);
}

static void
rest(struct vmt_traced *process, struct vmt_touch *touch, uint64_t now_ns)
{
	stop_events(process, touch);
	vmt_touch_cost_rest(process, now_ns);
	(void)vmt_touch_write_chunk(process, touch);
}

/* What the events cost the process is limited: with each thread and process that it makes, where
 * first nothing is inherited, and with each switch between threads; then it has none for a while.
 */
static void
limit_cost(struct vmt_traced *process, struct vmt_touch *touch, uint64_t now_ns)
{
	struct vmt_touch_target *target = &process->touch;
	bool may_make, may_switch;

	if (target->rests_until_ns != 0) {
		if (!vmt_touch_cost_has_rested(process, now_ns))
			return;
		vmt_touch_cost_begin(target, now_ns);
		reopen(process, touch);
		return;
	}
	vmt_touch_cost_weigh(process, &touch->payload, now_ns);
	may_make = vmt_cpu_budget_is_there(&target->making, now_ns);
	may_switch = vmt_cpu_budget_is_there(&target->switching, now_ns);
	if (!may_switch || (!may_make && target->follows)) {
		rest(process, touch, now_ns);
	} else if (!may_make) {
		stop_events(process, touch);
		vmt_touch_cost_follow(target, now_ns);
		reopen(process, touch);
	}
}

static void
look_after(struct vmt_traced *process, struct vmt_touch *touch, uint64_t now_ns)
{
	struct vmt_touch_target *target = &process->touch;

	if (vmt_touch_is_auto(touch))
		limit_cost(process, touch, now_ns);
	if (target->follows && target->event_count != 0 &&
	    now_ns - target->followed_ns >= FOLLOW_NS) {
		target->followed_ns = now_ns;
		vmt_touch_attach_follow(touch, process);
	}
	if (target->batch.sample_count != 0 && now_ns - target->flushed_ns >= FLUSH_NS)
		vmt_touch_write_now(process, touch);
}

/* Half of the time in which a storm fills a ring, and while no sample comes longer and longer. */
static void
set_pace(struct vmt_touch *touch, uint64_t now_ns)
{
	uint64_t filled_ns =
	    vmt_touch_rings_filled_ns(touch->ring_bytes, touch->events.copy_bytes, touch->period);

	touch->pace_ns += touch->pace_ns / 2;
	if (touch->taken != 0 || touch->pace_ns < filled_ns / 2)
		touch->pace_ns = filled_ns / 2;
	if (touch->pace_ns > 4 * filled_ns)
		touch->pace_ns = 4 * filled_ns;
	touch->due_ns = touch->sampled ? now_ns + touch->pace_ns : UINT64_MAX;
	touch->taken = 0;
}

uint64_t
vmt_touch_sampling_due_ns(const struct vmt_touch *touch)
{
	return touch->ring_count != 0 ? touch->due_ns : UINT64_MAX;
}

void
vmt_touch_sampling_round(struct vmt_shared *shared, uint64_t now_ns)
{
	struct vmt_touch *touch = &shared->touch;
	uint64_t before_ns, period;

	if (touch->ring_count == 0)
		return;
	before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	drain_rings(touch);
	period = due_period(touch, now_ns);
	if (period != touch->period)
		change_period(touch, period);
	touch->sampled = 0;
	for (uint32_t i = 0; i < *touch->used; i++) {
		if (!is_sampled(touch->processes[i]))
			continue;
		touch->sampled++;
		look_after(touch->processes[i], touch, now_ns);
	}
	account(shared, before_ns);
	set_pace(touch, now_ns);
}

void
vmt_touch_sampling_flush(struct vmt_traced *process, struct vmt_shared *shared)
{
	uint64_t before_ns;

	if (!is_sampled(process))
		return;
	before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	drain_rings(&shared->touch);
	vmt_touch_write_now(process, &shared->touch);
	account(shared, before_ns);
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

	vmt_touch_attach_close(target);
	vmt_touch_walk_end(process);
	vmt_touch_batch_free(&target->batch);
	target->wanted = false;
}
