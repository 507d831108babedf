/* The largest RSS: what readings and snapshots saw, and what the kernel counted between them. */
#include "format/codec.h"
#include "tools/model/report/report_draft.h"

#include <errno.h>
#include <stdlib.h>

/* One reading of the kernel's count. */
struct reading {
	uint64_t time; /* ticks */
	uint64_t rss_bytes;
	uint64_t peak_rss_bytes;
};

typedef void (*taker)(struct vmt_report_draft *draft, const struct reading *reading);

static uint64_t
known(uint64_t bytes)
{
	return bytes != VMT_FIGURE_UNKNOWN ? bytes : 0;
}

static void
see(struct vmt_report_draft *draft, const struct reading *reading)
{
	struct vmt_peak_draft *peak = &draft->peak;
	uint64_t counted = reading->peak_rss_bytes;

	if (reading->rss_bytes != VMT_FIGURE_UNKNOWN && reading->rss_bytes > peak->rss.seen_bytes)
		peak->seen_time = reading->time;
	if (counted != VMT_FIGURE_UNKNOWN &&
	    (counted > peak->rss.counted_bytes ||
	     (counted == peak->rss.counted_bytes && reading->time < peak->by)))
		peak->by = reading->time;
	if (counted != VMT_FIGURE_UNKNOWN && reading->time > peak->last) {
		peak->last = reading->time;
		peak->last_rss_bytes = known(reading->rss_bytes);
	}
	vmt_rss_peak_add(&peak->rss, reading->time, reading->rss_bytes, counted);
}

/* Usages are written later than snapshots that were taken later: the order of chunks tells nothing.
 */
static void
see_before(struct vmt_report_draft *draft, const struct reading *reading)
{
	struct vmt_peak_draft *peak = &draft->peak;

	if (reading->peak_rss_bytes != VMT_FIGURE_UNKNOWN && reading->time < peak->by &&
	    reading->time > peak->after) {
		peak->after = reading->time;
		peak->after_rss_bytes = known(reading->rss_bytes);
	}
}

static void
visit_usages(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
	     const unsigned char *bytes, size_t length, taker take)
{
	struct vmt_usage usage;

	for (size_t at = 0, step; at < length; at += step) {
		step = vmt_codec_get_usage(&chunk->header, bytes + at, length - at, &usage);
		if (step == 0)
			return;
		take(draft, &(struct reading){usage.time, usage.rss_bytes, usage.peak_rss_bytes});
	}
}

static void
visit_all(struct vmt_report_draft *draft, size_t first, taker take)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	for (size_t i = first; i < count; i++) {
		struct vmt_snapshot_head head;
		const unsigned char *bytes;
		struct vmt_err err = {""};
		size_t length;

		if ((chunks[i].header.kind != VMT_CHUNK_USAGE &&
		     chunks[i].header.kind != VMT_CHUNK_SNAPSHOT) ||
		    vmt_trace_payload(draft->trace, &chunks[i], &bytes, &length, &err))
			continue;
		if (chunks[i].header.kind == VMT_CHUNK_USAGE)
			visit_usages(draft, &chunks[i], bytes, length, take);
		else if (vmt_codec_get_snapshot_head(&chunks[i].header, bytes, length, &head) != 0)
			take(draft, &(struct reading){head.time,
						      head.source == VMT_RESIDENCY_NONE
							  ? VMT_FIGURE_UNKNOWN
							  : head.resident_bytes,
						      head.peak_rss_bytes});
	}
}

/* What EXIT and EXEC tell is of programs before an exec as well: it is this one's where it is more
 * than it was at the start. */
static void
take_heard(struct vmt_report_draft *draft, const struct vmt_heard_peak *heard)
{
	uint64_t bytes = heard->bytes;
	uint64_t time = heard->time;
	struct vmt_peak_draft *peak = &draft->peak;
	uint64_t at_start = peak->rss.at_start_bytes;

	if (at_start == 0 || bytes <= at_start ||
	    !vmt_rss_peak_is_above(bytes, peak->rss.seen_bytes) ||
	    (peak->rss.is_counted && !vmt_rss_peak_is_above(bytes, peak->rss.counted_bytes)))
		return;
	vmt_rss_peak_add(&peak->rss, time, VMT_FIGURE_UNKNOWN, bytes);
	if (peak->last != 0 && peak->last < time) {
		peak->after = peak->last;
		peak->after_rss_bytes = peak->last_rss_bytes;
	} else if (peak->last == 0)
		peak->after = vmt_trace_head(draft->trace)->clock_start.ticks;
	peak->by = time;
	peak->is_said = true;
}

/* What the chunks say that were not asked yet. */
static void
read_new(struct vmt_report_draft *draft)
{
	struct vmt_peak_draft *peak = &draft->peak;

	*peak = draft->peak_read;
	peak->rss.at_start_bytes = vmt_trace_head(draft->trace)->start_peak_rss_bytes;
	visit_all(draft, draft->peak_at, see);
	(void)vmt_trace_chunks(draft->trace, &draft->peak_at);
	draft->peak_read = *peak;
}

void
vmt_report_peak_scan(struct vmt_report_draft *draft)
{
	struct vmt_peak_draft *peak = &draft->peak;
	struct vmt_window missed = {.is_wanted = false};

	read_new(draft);
	peak->after = vmt_trace_head(draft->trace)->clock_start.ticks;
	if (vmt_rss_peak_is_missed(&peak->rss)) {
		visit_all(draft, 0, see_before);
		missed = (struct vmt_window){
		    .is_wanted = true,
		    .from = peak->after,
		    .until = peak->by,
		    .requested = VMT_FIGURE_MISSED_RESERVED,
		    .released = VMT_FIGURES,
		};
	}
	vmt_report_window_set(draft, &draft->missed, &missed);
	for (size_t i = 0; i < draft->heard_count; i++)
		take_heard(draft, &draft->heard[i]);
}

int
vmt_report_peak_hear(struct vmt_report_draft *draft, uint64_t bytes, uint64_t time)
{
	struct vmt_heard_peak heard = {bytes, time};

	if (draft->heard_count == draft->heard_room) {
		size_t room = draft->heard_room ? draft->heard_room * 2 : 4;
		struct vmt_heard_peak *all = reallocarray(draft->heard, room, sizeof(*all));

		if (!all)
			return -ENOMEM;
		draft->heard = all;
		draft->heard_room = room;
	}
	draft->heard[draft->heard_count++] = heard;
	take_heard(draft, &heard);
	return 0;
}

void
vmt_report_peak_fill(struct vmt_report_draft *draft)
{
	const struct vmt_peak_draft *found = &draft->peak;
	struct vmt_report *report = &draft->report;

	report->peak.seen_bytes = found->rss.seen_bytes;
	report->peak.seen_ns = vmt_trace_time_ns(draft->trace, found->seen_time);
	report->peak.counted_bytes =
	    found->rss.is_counted ? found->rss.counted_bytes : VMT_FIGURE_UNKNOWN;
	report->peak.earlier_bytes = vmt_rss_peak_earlier_bytes(&found->rss);
	report->peak.is_missed = vmt_rss_peak_is_missed(&found->rss);
	if (!report->peak.is_missed)
		return;
	report->peak.after_ns = vmt_trace_time_ns(draft->trace, found->after);
	report->peak.after_rss_bytes = found->after_rss_bytes;
	report->peak.by_ns = vmt_trace_time_ns(draft->trace, found->by);
	/* Of one that is seen from outside no request is recorded. */
	report->peak.requests_known =
	    draft->missed.is_wanted && !found->is_said &&
	    !(vmt_trace_head(draft->trace)->notes & (VMT_NOTE_WATCHED | VMT_NOTE_OUTSIDE));
}
