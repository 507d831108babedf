/*
 * touch_target.h: what is held for page faults: of all processes, and of one
 */
#ifndef VMT_TOUCH_TARGET_H
#define VMT_TOUCH_TARGET_H

#include "collect/touch_batch.h"
#include "collect/touch_events.h"
#include "collect/touch_ring.h"
#include "collect/touch_unwind.h"
#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_traced;

/* Of the collector. */
struct vmt_touch {
	uint32_t wanted; /* a period, VMT_PERIOD_OFF, VMT_PERIOD_AUTO */
	uint64_t period;
	int refused; /* errno, where it permits nothing */
	struct vmt_touch_events events;
	struct vmt_frame_rules rules;
	struct vmt_buffer rings; /* struct vmt_touch_ring */
	uint32_t ring_count;
	uint64_t ring_bytes;
	uint64_t page_bytes;
	struct vmt_buffer record;    /* VMT_TOUCH_RECORD_MAX_BYTES */
	struct vmt_buffer payload;   /* of a chunk, or thread ids */
	struct vmt_clock_pair older; /* readings of the clocks, the last two */
	struct vmt_clock_pair newer;
	struct vmt_traced *const *processes;
	const uint32_t *used;
	uint32_t last; /* whose the last sample was */
};

/* Of one process. */
struct vmt_touch_target {
	bool wanted;	       /* the trace has, or is to have, a word of it */
	int refused;	       /* errno */
	struct vmt_buffer fds; /* int, of its events */
	uint32_t fd_count;
	bool walks; /* its stacks can be walked */
	struct vmt_touch_unwind unwind;
	struct vmt_touch_batch batch;
	uint64_t minor_from; /* what its stat said when the events were opened */
	uint64_t major_from;
	uint64_t minor_faults; /* since then, when last read */
	uint64_t major_faults;
	uint64_t lost;	      /* samples, by the collector */
	uint64_t lost_before; /* what the events had lost before they were this image's */
	uint64_t lost_events; /* samples, as the events said, or as records did */
	uint64_t flushed_ns;
	uint32_t fresh; /* samples of this round */
};

#endif
