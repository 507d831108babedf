#include "collect/touch_attach.h"

#include "collect/tasks.h"

#include <errno.h>
#include <sys/resource.h>

/* Descriptors that are left to all else: a process takes nine. */
#define SPARED_DESCRIPTORS 64
#define FOLLOWED_AT_ONCE 64u

/* Of one thread on one processor. */
struct event {
	int minor_fd;
	int major_fd;
	uint32_t tid;
	uint64_t major_id; /* greater than that of any before it */
};

static struct event *
events_of(const struct vmt_touch_target *target)
{
	return (struct event *)(void *)target->events.bytes;
}

static const struct vmt_touch_ring *
ring_of(const struct vmt_touch *touch, uint32_t index)
{
	return &((const struct vmt_touch_ring *)(const void *)touch->rings.bytes)[index];
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

static void
close_descriptors(const struct event *event)
{
	if (event->minor_fd >= 0)
		vmt_sys_close(event->minor_fd);
	if (event->major_fd >= 0)
		vmt_sys_close(event->major_fd);
}

/* Both or none. */
static int
open_both(const struct vmt_touch_events *events, uint64_t period, const struct vmt_touch_ring *ring,
	  struct event *event)
{
	struct vmt_touch_wish wish = {VMT_TOUCH_MINOR, period, event->tid, ring->cpu};
	int result;

	event->major_fd = -1;
	result = event->minor_fd = vmt_touch_events_open(events, &wish, ring->fd);
	wish.kind = VMT_TOUCH_MAJOR;
	if (result >= 0)
		result = event->major_fd = vmt_touch_events_open(events, &wish, ring->fd);
	if (result >= 0)
		result = vmt_touch_events_read_id(event->major_fd, &event->major_id);
	if (result < 0)
		close_descriptors(event);
	return result;
}

static int
keep(struct vmt_touch_target *target, struct event event, int most)
{
	int result = event.minor_fd < most && event.major_fd < most ? 0 : -EMFILE;

	if (result == 0 &&
	    !vmt_buffer_reserve(&target->events, (target->event_count + 1) * sizeof(struct event)))
		result = -ENOMEM;
	if (result == 0)
		events_of(target)[target->event_count++] = event;
	else
		close_descriptors(&event);
	return result;
}

static uint64_t
lost_by(const struct vmt_touch *touch, const struct event *event)
{
	return vmt_touch_events_read_lost(&touch->events, event->minor_fd) +
	       vmt_touch_events_read_lost(&touch->events, event->major_fd);
}

/* What an event has lost stays counted, but for what an earlier image lost. */
static void
close_event(struct vmt_touch *touch, struct vmt_touch_target *target, const struct event *event)
{
	uint64_t lost = lost_by(touch, event);
	uint64_t before = lost < target->lost_before ? lost : target->lost_before;

	target->lost_before -= before;
	target->lost += lost - before;
	close_descriptors(event);
}

/* All of a thread's, or none: one that has ended meanwhile is no matter. */
static int
open_on_thread(struct vmt_touch *touch, struct vmt_touch_target *target, uint32_t tid, int most)
{
	struct vmt_touch_events events = touch->events;

	uint32_t before = target->event_count;

	events.inherit = events.inherit && !target->follows;
	for (uint32_t i = 0; i < touch->ring_count; i++) {
		const struct vmt_touch_ring *ring = ring_of(touch, i);
		struct event event = {.tid = tid};
		int result = open_both(&events, touch->period, ring, &event);

		if (result >= 0)
			result = keep(target, event, most);

		if (result == -ESRCH)
			return 0;
		if (result < 0 && result != -ENODEV) {
			while (target->event_count > before)
				close_event(touch, target,
					    &events_of(target)[--target->event_count]);
			return result;
		}
	}
	return 0;
}

/* Ids of threads, in the collector's scratch. */
static const uint32_t *
list_threads(struct vmt_touch *touch, const struct vmt_traced *process, uint32_t *count)
{
	if (vmt_tasks_read(process->pid, &touch->payload, count) < 0)
		*count = 0;
	return (const uint32_t *)(const void *)touch->payload.bytes;
}

int
vmt_touch_attach_open(struct vmt_touch *touch, struct vmt_traced *process)
{
	uint32_t count;
	const uint32_t *tids = list_threads(touch, process, &count);
	int most = most_descriptors();
	int result = 0;

	for (uint32_t i = 0; i < count && result == 0; i++)
		result = open_on_thread(touch, &process->touch, tids[i], most);
	if (result < 0)
		vmt_touch_attach_close(&process->touch);
	return result;
}

static bool
is_listed(const uint32_t *tids, uint32_t count, uint32_t tid)
{
	for (uint32_t i = 0; i < count; i++)
		if (tids[i] == tid)
			return true;
	return false;
}

static bool
is_followed(const struct vmt_touch_target *target, uint32_t tid)
{
	for (uint32_t i = 0; i < target->event_count; i++)
		if (events_of(target)[i].tid == tid)
			return true;
	return false;
}

static void
close_ended(struct vmt_touch *touch, struct vmt_touch_target *target, const uint32_t *tids,
	    uint32_t count)
{
	struct event *events = events_of(target);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < target->event_count; i++) {
		if (is_listed(tids, count, events[i].tid))
			events[kept++] = events[i];
		else
			close_event(touch, target, &events[i]);
	}
	target->event_count = kept;
}

void
vmt_touch_attach_follow(struct vmt_touch *touch, struct vmt_traced *process)
{
	struct vmt_touch_target *target = &process->touch;
	uint32_t count;
	const uint32_t *tids = list_threads(touch, process, &count);
	int most = most_descriptors();
	uint32_t added = 0;

	if (count == 0)
		return;
	close_ended(touch, target, tids, count);
	for (uint32_t i = 0; i < count && added < FOLLOWED_AT_ONCE; i++) {
		if (is_followed(target, tids[i]))
			continue;
		if (open_on_thread(touch, target, tids[i], most) < 0)
			return;
		added++;
	}
}

bool
vmt_touch_attach_is_major(const struct vmt_touch_target *target, uint64_t id)
{
	const struct event *events = events_of(target);
	uint32_t low = 0, high = target->event_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (events[middle].major_id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < target->event_count && events[low].major_id == id;
}

uint64_t
vmt_touch_attach_cost_ns(const struct vmt_touch *touch, const struct vmt_touch_target *target,
			 bool is_thread)
{
	uint64_t heirs = is_thread && !target->follows ? touch->ring_count : 0;

	return VMT_TOUCH_MAKE_NS + heirs * VMT_TOUCH_INHERIT_NS;
}

uint64_t
vmt_touch_attach_lost(const struct vmt_touch *touch, const struct vmt_touch_target *target)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < target->event_count; i++)
		lost += lost_by(touch, &events_of(target)[i]);
	/* An event that can't be read counts 0. */
	return lost > target->lost_before ? lost - target->lost_before : 0;
}

void
vmt_touch_attach_hand_over(struct vmt_touch_target *from, struct vmt_touch_target *to)
{
	to->events = from->events;
	to->event_count = from->event_count;
	to->follows = from->follows;
	to->lost_before = from->lost_before + from->lost_events;
	from->events = (struct vmt_buffer){0};
	from->event_count = 0;
}

void
vmt_touch_attach_renounce(struct vmt_touch *touch, struct vmt_touch_target *target)
{
	if (touch->events.counts_losses)
		target->lost += vmt_touch_attach_lost(touch, target);
	else
		target->lost += target->lost_events;
	target->lost_events = target->lost_before = 0;
	vmt_touch_attach_close(target);
}

void
vmt_touch_attach_close(struct vmt_touch_target *target)
{
	for (uint32_t i = 0; i < target->event_count; i++)
		close_descriptors(&events_of(target)[i]);
	target->event_count = 0;
	vmt_buffer_free(&target->events);
}
