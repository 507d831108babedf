/*
 * dump_record.h: prints one record of a trace as text or JSON.
 *
 * One document a record on the emitter, a line of text or of JSON; a snapshot's mappings are lines
 * of their own in text, an array in JSON. Times are nanoseconds since the trace began, sizes bytes,
 * addresses "0x...". Fields are named by what they mean for the kind of event, and left out where
 * they mean nothing. One thread's.
 */
#ifndef VMT_DUMP_RECORD_H
#define VMT_DUMP_RECORD_H

#include "tools/read/trace/snapshot_decode.h"
#include "tools/read/trace/trace.h"
#include "tools/read/trace/trace_record.h"
#include "tools/render/emitter.h"

struct vmt_dump_record {
	struct vmt_emitter emitter;
	struct vmt_trace *trace;
	bool stacks; /* frames of each event */
	bool runs;   /* runs of each mapping of a snapshot */
	uint64_t events;
	uint64_t snapshots;
	uint64_t usages;
	uint64_t touches;
};

void vmt_dump_record_head(struct vmt_dump_record *dumped);
void vmt_dump_record_event(struct vmt_dump_record *dumped, const struct vmt_event *event);
void vmt_dump_record_usage(struct vmt_dump_record *dumped, const struct vmt_usage *usage);
void vmt_dump_record_touch(struct vmt_dump_record *dumped, const struct vmt_record_touch *touch);
void vmt_dump_record_snapshot(struct vmt_dump_record *dumped, const struct vmt_snapshot *snapshot);
void vmt_dump_record_loss(struct vmt_dump_record *dumped);
void vmt_dump_record_end(struct vmt_dump_record *dumped);

#endif
