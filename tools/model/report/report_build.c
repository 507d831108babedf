#include "tools/model/report/report_build.h"

#include "tools/model/report/history_build.h"
#include "tools/model/report/history_marks.h"
#include "tools/model/report/report_draft.h"
#include "tools/model/report/snapshot_choice.h"
#include "tools/read/trace/merge.h"
#include "tools/read/trace/process_end.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t *
stack_of(void *trace, uint32_t id, uint32_t *frames)
{
	return vmt_trace_stack(trace, id, frames);
}

static char *
joined_arguments(struct vmt_report_draft *draft, const void *arguments, size_t length)
{
	char text[VMT_CMDLINE_BYTES];

	if (length > sizeof(text))
		length = sizeof(text);
	memcpy(text, arguments, length);
	while (length && !text[length - 1])
		length--;
	for (size_t i = 0; i < length; i++)
		if (!text[i])
			text[i] = ' ';
	return vmt_string_set_intern(draft->strings, text, length);
}

/* The last one; what can't be read is left out. */
static void
fill_title(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	const struct vmt_trace_chunk *last = NULL;
	const unsigned char *bytes;
	struct vmt_err err = {""};
	size_t count, length;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	char *title;

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_TITLE)
			last = &chunks[i];
	if (!last || vmt_trace_payload(draft->trace, last, &bytes, &length, &err) < 0)
		return;
	title = joined_arguments(draft, bytes, length);
	if (title && *title && strcmp(title, report->process.cmdline) != 0)
		report->process.title = title;
}

/* The collector may learn of an exec late, and the rest was the successor's time: where the call
 * was recorded, it is the last event. */
static uint64_t
last_time(const struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	int status;

	if (draft->ends_with_exec && strcmp(vmt_trace_end(draft->trace, &status), "exec") == 0)
		return draft->last_event;
	return head->clock_last.ticks > draft->last_time ? head->clock_last.ticks
							 : draft->last_time;
}

static void
fill_presence(struct vmt_report *report, const struct vmt_head *head)
{
	bool is_running = strcmp(report->process.end, "running") == 0;
	bool is_open =
	    strcmp(report->process.end, "ending") == 0 || strcmp(report->process.end, "cut") == 0;

	report->process.hidden = is_open && vmt_process_end_is_hidden(head);
	report->process.uncollected = is_running && vmt_process_end_is_uncollected(head);
	if (report->process.uncollected && head->heartbeat_ns) {
		int64_t until_ns = (int64_t)(head->heartbeat_ns - head->clock_start.monotonic_ns);

		report->process.collected_until_ns = until_ns;
		if (until_ns > 0 && report->process.duration_ns < (uint64_t)until_ns)
			report->process.duration_ns = (uint64_t)until_ns;
	}
}

static int
fill_process(struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	struct vmt_report *report = &draft->report;
	uint64_t last = last_time(draft);
	int64_t duration = vmt_trace_time_ns(draft->trace, last);

	report->process.pid = head->pid;
	report->process.traces_removed = head->traces_removed;
	report->process.exe = vmt_string_set_intern(draft->strings, head->exe, VMT_EXE_BYTES);
	report->process.cmdline = joined_arguments(draft, head->cmdline, head->cmdline_bytes);
	report->process.start_unix_ns = head->start_unix_ns;
	report->process.duration_ns = last && duration > 0 ? (uint64_t)duration : 0;
	report->process.last_event_ns = vmt_trace_time_ns(draft->trace, draft->last_event);
	report->process.end = vmt_trace_end(draft->trace, &report->process.end_status);
	if (vmt_process_end_is_short(vmt_trace_head(draft->trace)))
		report->process.shortage =
		    vmt_process_end_shortage(vmt_trace_head(draft->trace)->end_status);
	report->process.forked = (head->notes & VMT_NOTE_FORKED) != 0;
	report->process.not_in_proc = (head->notes & VMT_NOTE_NOT_IN_PROC) != 0;
	report->process.other_pid_namespace = vmt_process_end_is_elsewhere(head);
	fill_presence(report, head);
	report->process.is_snapshot = (head->notes & VMT_NOTE_SNAPSHOT) != 0;
	report->process.is_watched = (head->notes & VMT_NOTE_WATCHED) != 0;
	report->process.is_attached = (head->notes & VMT_NOTE_ATTACHED) != 0;
	report->process.end_seen = vmt_trace_end_chunk(draft->trace) != NULL;
	if (!report->process.exe || !report->process.cmdline)
		return -ENOMEM;
	fill_title(draft);
	return 0;
}

/* What was left out so that the file stays within its bound. */
static void
fill_bound(struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	const uint64_t *thin_from = vmt_trace_thin_from(draft->trace);
	struct vmt_report *report = &draft->report;

	report->loss.events_thinned = vmt_trace_loss(draft->trace)->events_thinned;
	report->loss.max_bytes = head->max_bytes;
	report->loss.is_thinned = thin_from[1] != UINT64_MAX;
	if (report->loss.is_thinned)
		report->loss.thinned_from_ns = vmt_trace_time_ns(draft->trace, thin_from[1]);
	report->loss.one_in = UINT64_C(1) << draft->replay->thin_level;
	report->loss.one_in_at_snapshot = UINT64_C(1) << draft->joined_level;
	report->loss.is_full = head->full_since != 0;
	if (report->loss.is_full)
		report->loss.full_from_ns = vmt_trace_time_ns(draft->trace, head->full_since);
	report->coverage.thinned_bytes = (uint64_t)draft->replay->thinned_bytes;
}

static int
fill_loss(struct vmt_report_draft *draft)
{
	const struct vmt_trace_loss *loss = vmt_trace_loss(draft->trace);
	struct vmt_report *report = &draft->report;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	report->loss.events_dropped = loss->events_dropped;
	report->loss.events_overwritten = loss->events_overwritten;
	report->loss.stacks_dropped = loss->stacks_dropped;
	report->loss.samples_dropped = loss->samples_dropped;
	report->loss.slots_abandoned = loss->slots_abandoned;
	report->loss.events_missing = loss->events_missing;
	report->loss.chunks_unknown = loss->chunks_unknown;
	report->loss.cut_bytes = loss->cut_bytes;
	report->loss.cut = loss->cut;
	fill_bound(draft);
	for (size_t i = 0; i < count; i++) {
		struct vmt_err err = {{0}};
		struct vmt_chunk_end end = {0};
		const unsigned char *bytes;
		size_t length;

		if (chunks[i].header.kind != VMT_CHUNK_END ||
		    vmt_trace_payload(draft->trace, &chunks[i], &bytes, &length, &err) ||
		    length < VMT_CHUNK_END_LEAST_BYTES)
			continue;
		memcpy(&end, bytes, length < sizeof(end) ? length : sizeof(end));
		report->loss.snapshots_skipped = end.snapshots_skipped;
		if (vmt_report_peak_hear(draft, end.peak_rss_bytes, end.time))
			return -ENOMEM;
		if (end.time > draft->last_time)
			draft->last_time = end.time;
	}
	return 0;
}

static const char *
source_name(uint16_t source)
{
	switch (source) {
	case VMT_RESIDENCY_PAGEMAP_SCAN:
		return "PAGEMAP_SCAN";
	case VMT_RESIDENCY_PAGEMAP:
		return "pagemap";
	case VMT_RESIDENCY_MINCORE:
		return "mincore";
	default:
		return "unknown";
	}
}

/* How far the kernel's own counter was off; statm does not always tell. */
static uint64_t
skew(uint64_t scanned, uint64_t counted)
{
	if (counted == VMT_FIGURE_UNKNOWN)
		return VMT_FIGURE_UNKNOWN;
	return scanned > counted ? scanned - counted : counted - scanned;
}

static void
fill_snapshot(struct vmt_report_draft *draft)
{
	const struct vmt_snapshot_head *head = &draft->snapshot.head;
	const struct vmt_attribution *attribution = &draft->attribution;
	struct vmt_report *report = &draft->report;
	uint64_t rss = attribution->total.bytes[VMT_AMOUNT_COMMITTED];

	report->snapshot.taken = true;
	report->snapshot.time_ns = vmt_trace_time_ns(draft->trace, head->time);
	report->snapshot.rss_bytes = rss;
	report->snapshot.virtual_bytes = attribution->total.bytes[VMT_AMOUNT_RESERVED];
	report->snapshot.swap_bytes = attribution->total.bytes[VMT_AMOUNT_SWAPPED];
	report->snapshot.lazyfree_bytes = head->lazyfree_bytes;
	report->snapshot.huge_bytes = head->huge_bytes;
	report->snapshot.shared_bytes = head->shared_rss_bytes == VMT_FIGURE_UNKNOWN
					    ? VMT_FIGURE_UNKNOWN
					    : attribution->total.bytes[VMT_AMOUNT_SHARED];
	report->snapshot.skew_bytes = vmt_report_draft_larger_known(
	    skew(rss, head->rss_before_bytes), skew(rss, head->rss_after_bytes));
	report->snapshot.kernel = head->kernel;
	report->snapshot.duration_ns = head->duration_ns;
	report->snapshot.kernel_rss = vmt_kernel_rss_compare(head, rss);
	report->snapshot.source = source_name(head->source);
	report->snapshot.index = head->index;
	report->totals.reserved_bytes = attribution->total.bytes[VMT_AMOUNT_RESERVED];
	report->totals.accessible_bytes = attribution->total.bytes[VMT_AMOUNT_ACCESSIBLE];
	report->totals.committed_bytes = rss;
	report->totals.file_bytes = attribution->file_bytes;
	report->totals.unattributed_bytes =
	    attribution->classes[VMT_CLASS_UNATTRIBUTED].bytes[VMT_AMOUNT_COMMITTED];
	report->totals.vmtrace_bytes =
	    attribution->classes[VMT_CLASS_TRACER].bytes[VMT_AMOUNT_COMMITTED];
}

static int
fill_line(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;

	report->rss = calloc(VMT_RSS_POINTS, sizeof(*report->rss));
	if (!report->rss)
		return -ENOMEM;
	report->rss_count = vmt_rss_series_points(draft->line, report->rss);
	for (size_t i = 0; i < report->rss_count; i++)
		report->rss[i].time_ns =
		    vmt_trace_time_ns(draft->trace, (uint64_t)report->rss[i].time_ns);
	return 0;
}

static int
fill(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	int status;

	status = fill_loss(draft);
	if (!status)
		status = fill_process(draft);
	if (report->cgroup.fullest.bytes != VMT_FIGURE_UNKNOWN)
		report->cgroup.fullest.time_ns =
		    vmt_trace_time_ns(draft->trace, draft->fullest_time);
	if (draft->joined)
		fill_snapshot(draft);
	report->totals.double_acquisitions = draft->replay->double_acquisitions;
	report->totals.unknown_releases = draft->replay->unknown_releases;
	report->totals.early_acquisitions = draft->replay->early_acquisitions;
	report->totals.live_blocks = vmt_blocks_count(draft->replay->blocks);
	report->totals.live_block_bytes = vmt_blocks_bytes(draft->replay->blocks);
	vmt_replay_tally_live(draft->replay);
	vmt_replay_drop_blocks(draft->replay);
	if (!status)
		status = vmt_report_coverage_fill(draft);
	if (!status)
		status = vmt_report_go_fill(draft);
	if (!status)
		status = vmt_report_rows_fill(draft);
	if (!status)
		status = vmt_report_compiled_cover(draft);
	vmt_report_peak_fill(draft);
	if (!status)
		vmt_report_window_fill(draft);
	if (!status)
		status = vmt_history_build_fill(draft);
	if (!status)
		status = vmt_history_marks_fill(draft);
	return status ? status : fill_line(draft);
}

static int
set_up(struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	struct vmt_replay_options options = {
	    .stacks = {stack_of, draft->trace},
	    .touch_stacks = {vmt_report_touch_stack, draft->trace},
	    .page_bytes = head->page_bytes,
	    .sample_bytes = head->malloc_mode == VMT_MALLOC_SAMPLED ? head->malloc_sample_bytes : 0,
	    .thin_from = vmt_trace_thin_from(draft->trace),
	    .random_id = head->random_id,
	    .folios_always = head->folios_always,
	    .folios_advised = head->folios_advised,
	    .held_ticks = vmt_trace_ticks(draft->trace, VMT_REPLAY_HEAP_HELD_NS),
	    .by_thread = draft->options->by_thread,
	    .forked = (head->notes & VMT_NOTE_FORKED) != 0,
	};

	draft->report.cgroup.limit_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.cgroup.peak_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.cgroup.last_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.cgroup.fullest.bytes = VMT_FIGURE_UNKNOWN;
	draft->report.cgroup.fullest.anonymous_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.cgroup.fullest.file_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.cgroup.fullest.shared_memory_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.snapshot.lazyfree_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.snapshot.huge_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.snapshot.shared_bytes = VMT_FIGURE_UNKNOWN;
	draft->report.peak.counted_bytes = VMT_FIGURE_UNKNOWN;
	memset(&draft->report.snapshot.kernel, 0xff, sizeof(draft->report.snapshot.kernel));
	draft->strings = vmt_string_set_new();
	draft->line = calloc(1, sizeof(*draft->line));
	draft->replay = vmt_replay_new(&options);
	if (!draft->strings || !draft->line || !draft->replay)
		return -ENOMEM;
	return vmt_report_snapshots_new_owners(draft, &draft->go_owners, &draft->allocators);
}

/* What is needed no longer once the report is filled. */
void
vmt_report_draft_free(struct vmt_report_draft *draft)
{
	vmt_report_digest_free(draft);
	vmt_history_build_free(draft);
	vmt_history_marks_free(draft->marks);
	free(draft->advice_rows);
	vmt_attribution_free(&draft->attribution);
	vmt_go_heap_chunk_free(&draft->go_heap);
	vmt_snapshot_decode_free(&draft->snapshot);
	vmt_replay_free(draft->replay);
	vmt_go_sites_free(draft->go_owners);
	vmt_allocators_free(draft->allocators);
	vmt_lookup_free(draft->names);
	free(draft->waiting.items);
	free(draft->seen);
	free(draft->heard);
	vmt_merge_close(draft->merge);
	vmt_recorded_files_free(draft->recorded);
	vmt_packed_names_free(draft->packed);
	vmt_jit_names_free(draft->compiled);
	free(draft->line);
	free(draft->site_rows);
	vmt_trace_close(draft->trace);
}

int
vmt_report_draft_choose(struct vmt_report_draft *draft, struct vmt_err *err)
{
	static const struct vmt_trace_chunk of_another;
	struct vmt_snapshot *lent = draft->options->lent;
	int status = vmt_snapshot_choice_find(draft, &draft->chosen, err);

	vmt_snapshot_decode_free(&draft->snapshot);
	if (!status && lent) {
		draft->chosen = &of_another;
		draft->snapshot = *lent;
		*lent = (struct vmt_snapshot){.mappings = NULL};
	} else if (!status && draft->chosen)
		status = vmt_snapshot_decode(&draft->snapshot, draft->trace, draft->chosen, err);
	return status;
}

int
vmt_report_draft_open(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	int status = vmt_trace_open(&draft->trace, path, err);

	if (status)
		return status;
	status = vmt_report_names_open(draft, path, err);
	if (!status)
		status = vmt_report_compiled_open(draft, path, err);
	if (!status && set_up(draft))
		status = vmt_report_draft_no_memory(err, path);
	return status;
}

int
vmt_report_draft_finish(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	int status;

	vmt_merge_finish(draft->merge);
	status = vmt_report_events_run(draft, path, err);
	if (!status)
		vmt_report_digest_keep(draft);
	if (!status)
		status = vmt_report_events_end(draft, path, err);
	if (!status && fill(draft))
		status = vmt_report_draft_no_memory(err, path);
	if (!status && (status = vmt_report_names_tell(draft)))
		vmt_err_set(err, -status, "%s: its names can't be kept: %s", path,
			    status == -E2BIG ? "they are more than a report takes"
					     : strerror(-status));
	return status ? status : vmt_snapshot_choice_check(draft, err);
}

static int
build(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	int status = vmt_report_draft_open(draft, path, err);

	if (!status)
		status = vmt_report_draft_choose(draft, err);
	if (!status && vmt_history_build_plan(draft, draft->chosen))
		status = vmt_report_draft_no_memory(err, path);
	if (status)
		return status;
	vmt_report_events_plan(draft);
	status = vmt_report_events_begin(draft, path, 0, err);
	if (!status)
		status = vmt_report_digest_begin(draft, err);
	if (status)
		return status;
	vmt_merge_read_ahead(draft->merge);
	return vmt_report_draft_finish(draft, path, err);
}

static int
build_one(struct vmt_report **report, const char *path, const struct vmt_report_options *options,
	  bool ignores_kept, struct vmt_err *err)
{
	struct vmt_report_draft *draft = calloc(1, sizeof(*draft));
	int status;

	if (!draft)
		return vmt_report_draft_no_memory(err, path);
	draft->options = options;
	draft->ignores_kept = ignores_kept;
	status = build(draft, path, err);
	vmt_report_draft_free(draft);
	if (status)
		vmt_report_free(&draft->report);
	else
		*report = &draft->report;
	return status;
}

int
vmt_report_build(struct vmt_report **report, const char *path,
		 const struct vmt_report_options *options, struct vmt_err *err)
{
	int status;

	*report = NULL;
	status = build_one(report, path, options, false, err);
	return status == -ESTALE ? build_one(report, path, options, true, err) : status;
}

void
vmt_report_free(struct vmt_report *report)
{
	struct vmt_report_draft *draft = (struct vmt_report_draft *)(void *)report;

	if (!report)
		return;
	vmt_report_rows_free(report);
	vmt_report_go_free(report);
	vmt_report_committers_free(report);
	vmt_report_parts_free(report);
	vmt_history_free(&report->history);
	free(report->rss);
	free(report->coverage.blind_spots);
	vmt_string_set_free(draft->strings);
	free(draft);
}
