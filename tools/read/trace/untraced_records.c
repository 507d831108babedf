#include "tools/read/trace/untraced_records.h"

#include "collect/retain.h"
#include "format/codec.h"

/* False: the visitor wants no more. */
static bool
visit_chunk(const struct vmt_chunk *chunk, const unsigned char *bytes, size_t length,
	    bool (*visit)(void *context, const struct vmt_untraced *record), void *context)
{
	struct vmt_untraced record;

	for (size_t at = 0, step; at < length; at += step) {
		step = vmt_codec_get_untraced(chunk, bytes + at, length - at, &record);
		if (step == 0)
			break;
		if (!visit(context, &record))
			return false;
	}
	return true;
}

void
vmt_untraced_records_each(struct vmt_trace *trace,
			  bool (*visit)(void *context, const struct vmt_untraced *record),
			  void *context)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	for (size_t i = 0; i < count; i++) {
		struct vmt_err err = {""};
		const unsigned char *bytes;
		size_t length;

		if (chunks[i].header.kind != VMT_CHUNK_UNTRACED ||
		    vmt_trace_payload(trace, &chunks[i], &bytes, &length, &err) < 0)
			continue;
		if (!visit_chunk(&chunks[i].header, bytes, length, visit, context))
			return;
	}
}

int64_t
vmt_untraced_records_end(const struct vmt_untraced *record)
{
	uint64_t end_ns = record->end_ns;

	if (end_ns == VMT_UNTRACED_RUNS && record->why == VMT_UNTRACED_EARLY &&
	    record->start_ns <= INT64_MAX)
		end_ns = record->start_ns + VMT_RETAIN_BRIEF_NS;
	return end_ns < INT64_MAX ? (int64_t)end_ns : INT64_MAX;
}
