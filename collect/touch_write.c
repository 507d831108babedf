#include "collect/touch_write.h"

#include "base/ticks.h"
#include "collect/touch_attach.h"
#include "collect/touch_counts.h"
#include "collect/touch_record.h"
#include "collect/trace_clock.h"

#include <errno.h>

static uint32_t
flags_of(const struct vmt_touch *touch, const struct vmt_touch_target *target)
{
	if (target->refused != 0)
		return VMT_TOUCH_REFUSED;
	return VMT_TOUCH_MAJOR_FAULTS | (touch->events.kernel ? VMT_TOUCH_KERNEL_FAULTS : 0) |
	       (touch->events.has & VMT_TOUCH_HAS_SIZE ? VMT_TOUCH_PAGE_SIZES : 0) |
	       (touch->events.inherit && !target->follows ? VMT_TOUCH_INHERITED : 0) |
	       (vmt_touch_is_auto(touch) && touch->pace.step > 0 ? VMT_TOUCH_RAISED : 0);
}

int
vmt_touch_write_chunk(struct vmt_traced *process, struct vmt_touch *touch)
{
	struct vmt_touch_target *target = &process->touch;
	/* The process counts on with another image: what this one had by its end was not read. */
	bool knows_counts = !target->refused && !target->replaced && target->counts.known;
	struct vmt_touch_head head = {
	    .period = target->refused || target->rests_until_ns ? 0 : touch->period,
	    .minor_faults = knows_counts ? target->counts.minor : VMT_FIGURE_UNKNOWN,
	    .major_faults = knows_counts ? target->counts.major : VMT_FIGURE_UNKNOWN,
	    .samples_lost = target->lost + target->lost_events,
	    .samples_skipped = target->skipped,
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
vmt_touch_write_give_up(struct vmt_touch_target *target)
{
	target->lost += target->batch.sample_count;
	vmt_touch_batch_drop(&target->batch);
}

/* The trace takes no more of them. */
static void
end_sampling(struct vmt_traced *process, struct vmt_touch *touch)
{
	struct vmt_touch_target *target = &process->touch;

	vmt_touch_write_give_up(target);
	vmt_touch_attach_renounce(touch, target);
	if (target->rests_until_ns == UINT64_MAX)
		return;
	target->rests_until_ns = UINT64_MAX;
	(void)vmt_touch_write_chunk(process, touch);
}

void
vmt_touch_write_now(struct vmt_traced *process, struct vmt_touch *touch)
{
	struct vmt_touch_target *target = &process->touch;

	if (!target->replaced)
		vmt_touch_counts_read(&target->counts, process->stat_fd);
	if (touch->events.counts_losses && target->event_count != 0)
		target->lost_events = vmt_touch_attach_lost(touch, target);
	if (vmt_touch_write_chunk(process, touch) == -EFBIG || process->bound.is_full)
		end_sampling(process, touch);
}

void
vmt_touch_write_rest(struct vmt_traced *process, struct vmt_touch *touch)
{
	vmt_touch_write_now(process, touch);
	vmt_touch_write_give_up(&process->touch);
}
