/*
 * touch_target.h: what is held for page faults: of all processes, and of one
 */
#ifndef VMT_TOUCH_TARGET_H
#define VMT_TOUCH_TARGET_H

#include "collect/cpu_budget.h"
#include "collect/touch_batch.h"
#include "collect/touch_clock.h"
#include "collect/touch_counts.h"
#include "collect/touch_events.h"
#include "collect/touch_folios.h"
#include "collect/touch_pace.h"
#include "collect/touch_ring.h"
#include "collect/touch_unwind.h"
#include "format/head.h"
#include "format/settings.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_traced;

/* Of the collector. */
struct vmt_touch {
	uint32_t wanted; /* a period, VMT_PERIOD_OFF, VMT_PERIOD_AUTO */
	uint64_t period; /* now: slipped */
	uint32_t slips;
	uint64_t samples;	    /* in all */
	uint64_t samples_slipped;   /* at the last slip */
	struct vmt_touch_pace pace; /* of VMT_PERIOD_AUTO */
	int refused;		    /* errno, where it permits nothing */
	struct vmt_touch_events events;
	struct vmt_touch_folios folios;
	struct vmt_frame_rules rules;
	struct vmt_buffer rings; /* struct vmt_touch_ring */
	uint32_t ring_count;
	uint64_t ring_bytes;
	uint64_t page_bytes;
	struct vmt_buffer record;  /* VMT_TOUCH_RECORD_MAX_BYTES */
	struct vmt_buffer payload; /* of a chunk, or thread ids */
	struct vmt_touch_clock clock;
	struct vmt_traced *const *processes;
	const uint32_t *used;
	uint32_t sampled; /* processes */
	uint32_t taken;	  /* records, since the last round */
	uint64_t pace_ns; /* between rounds, at present */
	uint64_t due_ns;
	uint32_t last; /* whose the last sample was */
};

static inline bool
vmt_touch_is_auto(const struct vmt_touch *touch)
{
	return touch->wanted == VMT_PERIOD_AUTO;
}

/* Of one process. */
struct vmt_touch_target {
	bool wanted;		  /* the trace has, or is to have, a word of it */
	int refused;		  /* errno */
	struct vmt_buffer events; /* descriptors and their threads */
	uint32_t event_count;
	/* Of VMT_PERIOD_AUTO (touch_cost.h). */
	struct vmt_cpu_budget making;	 /* what threads to come may cost it */
	struct vmt_cpu_budget switching; /* ... and switches between threads */
	uint64_t slices;		 /* as often a thread was taken on, when last weighed */
	uint64_t weigh_ns;		 /* when next; 0: not yet */
	uint64_t rest_rss_bytes;	 /* RSS when the rest began */
	uint64_t rests_until_ns; /* it has no events until then; 0: it has; UINT64_MAX: for good */
	uint64_t followed_ns;
	bool replaced; /* another image runs, whose trace has not begun */
	bool follows;  /* threads to come do not inherit, but are looked for */
	bool walks;    /* its stacks can be walked */
	struct vmt_touch_unwind unwind;
	struct vmt_touch_batch batch;
	struct vmt_touch_counts counts;
	uint64_t lost;	      /* samples, by the collector */
	uint64_t lost_before; /* what the events had lost before they were this image's */
	uint64_t lost_events; /* samples, as the events said, or as records did */
	uint64_t skipped;     /* samples, over the CPU budget */
	uint64_t flushed_ns;
	uint32_t fresh; /* samples of this round */
};

#endif
