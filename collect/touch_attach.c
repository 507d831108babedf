#include "collect/touch_attach.h"

#include "collect/tasks.h"

#include <errno.h>
#include <sys/resource.h>

/* Descriptors that are left to all else: a process takes nine. */
#define SPARED_DESCRIPTORS 64
#define FOLLOWED_AT_ONCE 64u

struct event {
	int fd;
	uint32_t tid;
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

static int
keep(struct vmt_touch_target *target, struct event event, int most)
{
	int result = event.fd < most ? 0 : -EMFILE;

	if (result == 0 &&
	    !vmt_buffer_reserve(&target->events, (target->event_count + 1) * sizeof(struct event)))
		result = -ENOMEM;
	if (result == 0)
		events_of(target)[target->event_count++] = event;
	else
		vmt_sys_close(event.fd);
	return result;
}

/* What an event has lost stays counted, but for what an earlier image lost. */
static void
close_event(struct vmt_touch *touch, struct vmt_touch_target *target, uint32_t index)
{
	struct event *event = &events_of(target)[index];

	uint64_t lost = vmt_touch_events_read_lost(&touch->events, event->fd);
	uint64_t before = lost < target->lost_before ? lost : target->lost_before;

	target->lost_before -= before;
	target->lost += lost - before;
	vmt_sys_close(event->fd);
	*event = events_of(target)[--target->event_count];
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
		int fd = vmt_touch_events_open(&events, touch->period, tid, ring->cpu, ring->fd);
		int result = fd < 0 ? fd : keep(target, (struct event){fd, tid}, most);

		if (result == -ESRCH)
			return 0;
		if (result < 0 && result != -ENODEV) {
			while (target->event_count > before)
				close_event(touch, target, target->event_count - 1);
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
	for (uint32_t i = 0; i < target->event_count;) {
		if (is_listed(tids, count, events_of(target)[i].tid))
			i++;
		else
			close_event(touch, target, i);
	}
	for (uint32_t i = 0; i < count && added < FOLLOWED_AT_ONCE; i++) {
		if (is_followed(target, tids[i]))
			continue;
		if (open_on_thread(touch, target, tids[i], most) < 0)
			return;
		added++;
	}
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
		lost += vmt_touch_events_read_lost(&touch->events, events_of(target)[i].fd);
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
		vmt_sys_close(events_of(target)[i].fd);
	target->event_count = 0;
	vmt_buffer_free(&target->events);
}
