/*
 * dumped.h: what does one record of a trace look like in a dump?
 *
 * One document a record on the emitter, a line of text or of JSON; a snapshot's mappings are lines
 * of their own in text, an array in JSON. Times are nanoseconds since the trace began, sizes bytes,
 * addresses "0x...". Fields are named by what they mean for the kind of event, and left out where
 * they mean nothing. One thread's.
 */
#ifndef VMT_DUMPED_H
#define VMT_DUMPED_H

#include "tools/read/trace/snapshot_decode.h"
#include "tools/read/trace/trace.h"
#include "tools/render/emitter.h"

struct vmt_dumped {
	struct vmt_emitter emitter;
	struct vmt_trace *trace;
	bool stacks; /* frames of each event */
	bool runs;   /* runs of each mapping of a snapshot */
	uint64_t events;
	uint64_t snapshots;
	uint64_t usages;
};

void vmt_dumped_head(struct vmt_dumped *dumped);
void vmt_dumped_event(struct vmt_dumped *dumped, const struct vmt_event *event);
void vmt_dumped_usage(struct vmt_dumped *dumped, const struct vmt_usage *usage);
void vmt_dumped_snapshot(struct vmt_dumped *dumped, const struct vmt_snapshot *snapshot);
void vmt_dumped_loss(struct vmt_dumped *dumped);
void vmt_dumped_end(struct vmt_dumped *dumped);

#endif
