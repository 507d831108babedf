/*
 * trace_record.h: one record of a trace: an event, a snapshot, a usage sample.
 */
#ifndef VMT_TRACE_RECORD_H
#define VMT_TRACE_RECORD_H

#include "format/chunk.h"
#include "format/event.h"
#include "tools/read/trace/trace_chunk.h"

#include <stdint.h>

enum vmt_record_kind { VMT_RECORD_END, VMT_RECORD_EVENT, VMT_RECORD_SNAPSHOT, VMT_RECORD_USAGE };

struct vmt_record {
	enum vmt_record_kind kind;
	uint64_t time; /* ticks */
	union {
		struct vmt_event event;
		const struct vmt_trace_chunk *snapshot; /* for vmt_snapshot_decode */
		struct vmt_usage usage;
	};
};

#endif
