#include "tools/model/report/snapshot_choice.h"

#include "format/codec.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define PLATEAU_SLACK_BYTES (UINT64_C(512) << 10)
#define NS_PER_S INT64_C(1000000000)

/* The time of day, local, at or after the start: the start's own second counts. The end of that
 * second. */
static int64_t
after_start_ns(uint64_t start_unix_ns, int64_t time_of_day_s, bool *is_next_day)
{
	time_t start = (time_t)(start_unix_ns / (uint64_t)NS_PER_S);
	struct tm local;
	time_t asked;

	if (!localtime_r(&start, &local))
		return 0;
	local.tm_hour = (int)(time_of_day_s / 3600);
	local.tm_min = (int)(time_of_day_s / 60 % 60);
	local.tm_sec = (int)(time_of_day_s % 60);
	local.tm_isdst = -1;
	asked = mktime(&local);
	*is_next_day = asked < start;
	if (*is_next_day) {
		local.tm_mday++;
		local.tm_isdst = -1;
		asked = mktime(&local);
	}
	/* The whole second: what happened in it had happened by its end. */
	return (asked + 1) * NS_PER_S - 1 - (int64_t)start_unix_ns;
}

/* What was asked for, in terms of this trace. */
static void
resolve(struct vmt_report_draft *draft)
{
	const struct vmt_report_options *options = draft->options;
	bool by_default = options->at == VMT_AT_DEFAULT || options->at == VMT_AT_COMPARED;
	int status;

	draft->at = options->at;
	draft->at_time_ns = options->at_time_ns;
	if (by_default && strcmp(vmt_trace_end(draft->trace, &status), "running") == 0)
		draft->at = VMT_AT_END;
	else if (by_default)
		draft->at = options->at == VMT_AT_DEFAULT ? VMT_AT_PEAK : VMT_AT_PLATEAU;
	if (options->at == VMT_AT_CLOCK) {
		draft->at = VMT_AT_TIME;
		draft->at_time_ns =
		    after_start_ns(vmt_trace_head(draft->trace)->start_unix_ns,
				   options->at_time_ns / NS_PER_S, &draft->is_next_day);
	}
	draft->asked_ns = draft->at_time_ns;
	if (options->at == VMT_AT_CLOCK)
		draft->asked_ns -= NS_PER_S - 1;
}

/* Below a peak by no more than two runs of one program differ by. */
static bool
is_near(uint64_t resident_bytes, uint64_t peak_bytes)
{
	uint64_t slack_bytes = peak_bytes / 50;

	if (slack_bytes < PLATEAU_SLACK_BYTES)
		slack_bytes = PLATEAU_SLACK_BYTES;
	assert(resident_bytes <= peak_bytes);
	return peak_bytes - resident_bytes <= slack_bytes;
}

static bool
is_better(const struct vmt_snapshot_head *head, const struct vmt_snapshot_head *best,
	  uint64_t peak_bytes, const struct vmt_report_draft *draft, int64_t time_ns)
{
	if (draft->at == VMT_AT_TIME && time_ns > draft->at_time_ns)
		return false;
	if (draft->at == VMT_AT_PLATEAU)
		return is_near(head->resident_bytes, peak_bytes) &&
		       (head->time >= best->time || !is_near(best->resident_bytes, peak_bytes));
	if (draft->at != VMT_AT_PEAK)
		return head->time >= best->time;
	if (head->resident_bytes != best->resident_bytes)
		return head->resident_bytes > best->resident_bytes;
	return head->time >= best->time;
}

/* Rounded up to what --at takes as not earlier. */
static int
too_early(const struct vmt_report_draft *draft, struct vmt_err *err)
{
	int64_t first_ns = draft->first_snapshot_ns;
	uint64_t first_us = first_ns > 0 ? ((uint64_t)first_ns + 999) / 1000 : 0;

	return vmt_err_set(err, ENODATA,
			   "%s: no snapshot as early as that: the first is at %" PRIu64
			   " µs (--at %" PRIu64 "us)",
			   vmt_trace_path(draft->trace), first_us, first_us);
}

/* One more snapshot whose pages somebody saw. */
static void
consider(struct vmt_report_draft *draft, const struct vmt_snapshot_head *head, size_t chunk)
{
	struct vmt_choice_draft *choice = &draft->choice;
	int64_t time_ns = vmt_trace_time_ns(draft->trace, head->time);

	draft->report.snapshot.count++;
	if (head->resident_bytes > choice->peak_bytes)
		choice->peak_bytes = head->resident_bytes;
	if (time_ns < draft->first_snapshot_ns)
		draft->first_snapshot_ns = time_ns;
	if (head->time > choice->last) {
		choice->last_but_one = choice->last;
		choice->last = head->time;
	}
	if ((draft->at != VMT_AT_TIME || time_ns <= draft->at_time_ns) &&
	    head->time > draft->last_look)
		draft->last_look = head->time;
	if (is_better(head, &choice->best, choice->peak_bytes, draft, time_ns)) {
		choice->best = *head;
		choice->best_at = chunk;
		choice->has_best = true;
	}
}

/* The snapshot that the report is about: NULL in *chosen where there is none. */
int
vmt_snapshot_choice_find(struct vmt_report_draft *draft, const struct vmt_trace_chunk **chosen,
			 struct vmt_err *err)
{
	struct vmt_choice_draft *choice = &draft->choice;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	if (choice->at == 0)
		draft->first_snapshot_ns = INT64_MAX;
	resolve(draft);
	for (; choice->at < count; choice->at++) {
		const struct vmt_trace_chunk *chunk = &chunks[choice->at];
		struct vmt_snapshot_head head;
		const unsigned char *bytes;
		size_t length;
		int status;

		if (chunk->header.kind != VMT_CHUNK_SNAPSHOT)
			continue;
		status = vmt_trace_payload(draft->trace, chunk, &bytes, &length, err);
		if (status)
			return status;
		if (vmt_codec_get_snapshot_head(&chunk->header, bytes, length, &head) == 0)
			return vmt_err_set(err, EBADMSG, "a snapshot of %zu bytes has no head",
					   length);
		if (head.source !=
		    VMT_RESIDENCY_NONE) /* else of mappings: nobody saw their pages */
			consider(draft, &head, choice->at);
	}
	*chosen = choice->has_best ? &chunks[choice->best_at] : NULL;
	if (draft->at == VMT_AT_TIME && !*chosen && draft->report.snapshot.count > 0)
		return too_early(draft, err);
	return 0;
}

int
vmt_snapshot_choice_check(struct vmt_report_draft *draft, struct vmt_err *err)
{
	struct vmt_report *report = &draft->report;

	report->snapshot.after_end = report->snapshot.taken && draft->at == VMT_AT_TIME &&
				     draft->asked_ns > vmt_report_end_ns(report);
	/* The next day has that time of day after the end, the first one before the start. */
	if (report->snapshot.after_end && draft->is_next_day)
		return too_early(draft, err);
	return 0;
}
