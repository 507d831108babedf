/*
 * trace_record.h: one record of a trace: an event, a snapshot, a usage sample, a sampled fault.
 */
#ifndef VMT_TRACE_RECORD_H
#define VMT_TRACE_RECORD_H

#include "format/chunk.h"
#include "format/event.h"
#include "format/touch.h"
#include "tools/read/trace/trace_chunk.h"

#include <stdint.h>

enum vmt_record_kind {
	VMT_RECORD_END,
	VMT_RECORD_EVENT,
	VMT_RECORD_SNAPSHOT,
	VMT_RECORD_USAGE,
	VMT_RECORD_TOUCH
};

/* A page fault that the kernel sampled. */
struct vmt_record_touch {
	struct vmt_touch_sample sample; /* its stack is a reference: touch_stacks.h */
	uint64_t period;		/* faults that it stands for */
};

struct vmt_record {
	enum vmt_record_kind kind;
	uint64_t time; /* ticks */
	union {
		struct vmt_event event;
		const struct vmt_trace_chunk *snapshot; /* for vmt_snapshot_decode */
		struct vmt_usage usage;
		struct vmt_record_touch touch;
	};
};

#endif
