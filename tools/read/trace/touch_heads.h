/*
 * touch_heads.h: how page faults were sampled, and what of it was lost.
 *
 * Adds up the heads of a trace's TOUCH chunks. Bytes are untrusted: a chunk that can't be read says
 * nothing here; a merge of the trace tells of it. One thread at a time.
 */
#ifndef VMT_TOUCH_HEADS_H
#define VMT_TOUCH_HEADS_H

#include "tools/read/trace/trace.h"

struct vmt_touch_heads {
	bool present;	       /* there is such a chunk: sampling was asked for */
	uint64_t from;	       /* ticks: the first chunk's */
	uint64_t pauses;       /* no faults were sampled for a while */
	bool is_paused;	       /* at the last chunk */
	uint64_t samples;      /* in the trace */
	uint64_t stood_for;    /* faults, by the samples' periods */
	uint64_t period;       /* of the last samples; of none: the last that was not 0, or 0 */
	uint64_t least_period; /* of all samples */
	uint64_t most_period;
	uint64_t minor_faults; /* by the kernel's count; VMT_FIGURE_UNKNOWN */
	uint64_t major_faults;
	uint64_t samples_lost;
	uint64_t samples_skipped;
	uint32_t flags;	  /* VMT_TOUCH_*, of the last chunk; RAISED of any */
	uint32_t refused; /* errno; 0 */
};

void vmt_touch_heads_add_up(struct vmt_touch_heads *heads, struct vmt_trace *trace);

#endif
