/*
 * The document, part by part.
 * Over 500 lines: one function a part.
 */
#include "tools/render/json.h"

#include "format/chunk.h"
#include "tools/render/emitter.h"
#include "tools/render/json_frames.h"
#include "tools/render/json_go.h"
#include "tools/render/json_history.h"
#include "tools/render/json_touch.h"
#include "tools/render/kernel_figures.h"

#include <errno.h>
#include <stdlib.h>

/* A figure that may not be known. */
static void
print_figure(struct vmt_emitter *emitter, const char *key, uint64_t figure)
{
	if (figure == VMT_FIGURE_UNKNOWN)
		vmt_emitter_string(emitter, key, NULL);
	else
		vmt_emitter_u64(emitter, key, figure);
}

/* What of the committed bytes is in other mappings too, and what is not. */
static void
print_sharing(struct vmt_emitter *emitter, uint64_t committed_bytes, uint64_t shared_bytes)
{
	bool known = shared_bytes != VMT_FIGURE_UNKNOWN && shared_bytes <= committed_bytes;

	print_figure(emitter, "private_bytes",
		     known ? committed_bytes - shared_bytes : VMT_FIGURE_UNKNOWN);
	print_figure(emitter, "shared_bytes", known ? shared_bytes : VMT_FIGURE_UNKNOWN);
}

static void
print_process(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "process");
	vmt_emitter_u64(emitter, "pid", report->process.pid);
	vmt_emitter_string(emitter, "exe", report->process.exe);
	vmt_emitter_string(emitter, "cmdline", report->process.cmdline);
	vmt_emitter_string(emitter, "title", report->process.title);
	vmt_emitter_u64(emitter, "start_unix_ns", report->process.start_unix_ns);
	vmt_emitter_u64(emitter, "duration_ns", report->process.duration_ns);
	vmt_emitter_string(emitter, "end", report->process.end);
	vmt_emitter_i64(emitter, "end_status", report->process.end_status);
	vmt_emitter_bool(emitter, "oom", vmt_report_is_oom(report));
	vmt_emitter_string(emitter, "shortage", report->process.shortage);
	vmt_emitter_bool(emitter, "other_pid_namespace", report->process.other_pid_namespace);
	vmt_emitter_bool(emitter, "hidden", report->process.hidden);
	vmt_emitter_bool(emitter, "uncollected", report->process.uncollected);
	vmt_emitter_string(emitter, "recorded",
			   report->process.is_snapshot	 ? "snapshot"
			   : report->process.is_watched	 ? "watched"
			   : report->process.is_attached ? "attached"
							 : "from start");
	vmt_emitter_u64(emitter, "traces_removed", report->process.traces_removed);
	vmt_emitter_i64(emitter, "last_event_ns", report->process.last_event_ns);
	vmt_emitter_i64(emitter, "growth_from_ns", report->process.growth_from_ns);
	vmt_emitter_string(emitter, "go_version", report->go.version);
	vmt_emitter_object_end(emitter);
}

static void
print_kernel(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "kernel");
	for (size_t i = 0; i < VMT_KERNEL_FIGURES_KEYS; i++)
		print_figure(
		    emitter, vmt_kernel_figures_keys[i].name,
		    vmt_kernel_figures_get(&report->snapshot.kernel, &vmt_kernel_figures_keys[i]));
	vmt_emitter_object_end(emitter);
}

static void
print_snapshot(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "snapshot");
	vmt_emitter_bool(emitter, "taken", report->snapshot.taken);
	vmt_emitter_i64(emitter, "time_ns", report->snapshot.time_ns);
	vmt_emitter_u64(emitter, "rss_bytes", report->snapshot.rss_bytes);
	vmt_emitter_u64(emitter, "virtual_bytes", report->snapshot.virtual_bytes);
	vmt_emitter_u64(emitter, "swap_bytes", report->snapshot.swap_bytes);
	print_figure(emitter, "lazyfree_bytes", report->snapshot.lazyfree_bytes);
	print_figure(emitter, "duration_ns", report->snapshot.duration_ns);
	print_figure(emitter, "huge_bytes", report->snapshot.huge_bytes);
	print_figure(emitter, "shared_bytes", report->snapshot.shared_bytes);
	print_figure(emitter, "skew_bytes", report->snapshot.skew_bytes);
	print_kernel(emitter, report);
	vmt_emitter_object(emitter, "kernel_rss");
	print_figure(emitter, "least_bytes", report->snapshot.kernel_rss.least_bytes);
	print_figure(emitter, "most_bytes", report->snapshot.kernel_rss.most_bytes);
	print_figure(emitter, "gap_bytes", report->snapshot.kernel_rss.gap_bytes);
	vmt_emitter_object_end(emitter);
	vmt_emitter_string(emitter, "source", report->snapshot.source);
	vmt_emitter_bool(emitter, "after_end", report->snapshot.after_end);
	vmt_emitter_u64(emitter, "index", report->snapshot.index);
	vmt_emitter_u64(emitter, "count", report->snapshot.count);
	vmt_emitter_object_end(emitter);
}

static void
print_time(struct vmt_emitter *emitter, const char *key, bool known, int64_t time_ns)
{
	if (known)
		vmt_emitter_i64(emitter, key, time_ns);
	else
		vmt_emitter_string(emitter, key, NULL);
}

/* Of the time from the last snapshot on; null where there is none. */
static void
print_since(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	if (!report->since.is_known) {
		vmt_emitter_string(emitter, "since", NULL);
		return;
	}
	vmt_emitter_object(emitter, "since");
	vmt_emitter_i64(emitter, "from_ns", report->since.from_ns);
	vmt_emitter_i64(emitter, "until_ns", report->since.until_ns);
	vmt_emitter_bool(emitter, "asked", report->since.is_asked);
	vmt_emitter_u64(emitter, "blocks_requested_bytes", report->since.blocks_requested_bytes);
	vmt_emitter_u64(emitter, "blocks_freed_bytes", report->since.blocks_freed_bytes);
	vmt_emitter_u64(emitter, "mapped_bytes", report->since.mapped_bytes);
	vmt_emitter_u64(emitter, "unmapped_bytes", report->since.unmapped_bytes);
	vmt_emitter_u64(emitter, "given_back_bytes", report->since.given_back_bytes);
	vmt_emitter_u64(emitter, "given_back_later_bytes", report->since.given_back_later_bytes);
	vmt_emitter_bool(emitter, "estimate", report->since.estimate);
	vmt_emitter_object_end(emitter);
}

static void
print_peak(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	struct vmt_rss_point seen = vmt_report_seen_peak(report);

	vmt_emitter_object(emitter, "peak");
	vmt_emitter_u64(emitter, "rss_bytes", vmt_report_peak_bytes(report));
	vmt_emitter_u64(emitter, "seen_bytes", seen.rss_bytes);
	vmt_emitter_i64(emitter, "seen_ns", seen.time_ns);
	print_figure(emitter, "counted_bytes", report->peak.counted_bytes);
	print_figure(emitter, "earlier_bytes",
		     report->peak.earlier_bytes ? report->peak.earlier_bytes : VMT_FIGURE_UNKNOWN);
	vmt_emitter_bool(emitter, "missed", report->peak.is_missed);
	print_time(emitter, "after_ns", report->peak.is_missed, report->peak.after_ns);
	print_time(emitter, "by_ns", report->peak.is_missed, report->peak.by_ns);
	vmt_emitter_object_end(emitter);
}

static void
print_totals(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "totals");
	vmt_emitter_u64(emitter, "reserved_bytes", report->totals.reserved_bytes);
	vmt_emitter_u64(emitter, "accessible_bytes", report->totals.accessible_bytes);
	vmt_emitter_u64(emitter, "committed_bytes", report->totals.committed_bytes);
	vmt_emitter_u64(emitter, "unattributed_bytes", report->totals.unattributed_bytes);
	vmt_emitter_u64(emitter, "vmtrace_bytes", report->totals.vmtrace_bytes);
	vmt_emitter_u64(emitter, "file_bytes", report->totals.file_bytes);
	vmt_emitter_u64(emitter, "double_acquisitions", report->totals.double_acquisitions);
	vmt_emitter_u64(emitter, "unknown_releases", report->totals.unknown_releases);
	vmt_emitter_u64(emitter, "early_acquisitions", report->totals.early_acquisitions);
	vmt_emitter_u64(emitter, "live_blocks", report->totals.live_blocks);
	vmt_emitter_u64(emitter, "live_block_bytes", report->totals.live_block_bytes);
	vmt_emitter_object_end(emitter);
}

static void
print_classes(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "classes");
	for (size_t i = 0; i < report->class_count; i++) {
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "name", report->classes[i].name);
		vmt_emitter_u64(emitter, "reserved_bytes", report->classes[i].reserved_bytes);
		vmt_emitter_u64(emitter, "accessible_bytes", report->classes[i].accessible_bytes);
		vmt_emitter_u64(emitter, "committed_bytes", report->classes[i].committed_bytes);
		vmt_emitter_u64(emitter, "swapped_bytes", report->classes[i].swapped_bytes);
		vmt_emitter_u64(emitter, "never_touched_bytes",
				report->classes[i].never_touched_bytes);
		vmt_emitter_u64(emitter, "hugetlb_bytes", report->classes[i].hugetlb_bytes);
		print_sharing(emitter, report->classes[i].committed_bytes,
			      report->classes[i].shared_bytes);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_retained(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "retained");
	vmt_emitter_string(emitter, "allocator", report->retained.allocator);
	vmt_emitter_bool(emitter, "is_split", report->retained.is_split);
	vmt_emitter_bool(emitter, "estimate", report->retained.estimate);
	vmt_emitter_u64(emitter, "overhead_bytes", report->retained.overhead_bytes);
	vmt_emitter_u64(emitter, "free_page_bytes", report->retained.free_page_bytes);
	vmt_emitter_u64(emitter, "free_page_least_bytes", report->retained.free_page_least_bytes);
	vmt_emitter_u64(emitter, "free_page_most_bytes", report->retained.free_page_most_bytes);
	vmt_emitter_u64(emitter, "pinned_bytes", report->retained.pinned_bytes);
	vmt_emitter_object_end(emitter);
}

static void
print_site(struct vmt_emitter *emitter, const struct vmt_report *report,
	   const struct vmt_site *site)
{
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "kind", site->kind);
	vmt_emitter_string(emitter, "class", site->class);
	vmt_emitter_u64(emitter, "stack_id", site->stack_id);
	if (site->thread)
		vmt_emitter_u64(emitter, "thread", site->thread);
	else
		vmt_emitter_string(emitter, "thread", NULL);
	vmt_emitter_u64(emitter, "count", site->count);
	vmt_emitter_u64(emitter, "live_count", site->live_count);
	vmt_emitter_u64(emitter, "reserved_bytes", site->reserved_bytes);
	vmt_emitter_u64(emitter, "accessible_bytes", site->accessible_bytes);
	vmt_emitter_u64(emitter, "committed_bytes", site->committed_bytes);
	vmt_emitter_u64(emitter, "swapped_bytes", site->swapped_bytes);
	vmt_emitter_u64(emitter, "never_touched_bytes", site->never_touched_bytes);
	vmt_emitter_u64(emitter, "hugetlb_bytes", site->hugetlb_bytes);
	vmt_emitter_u64(emitter, "total_reserved_bytes", site->total_reserved_bytes);
	vmt_emitter_u64(emitter, "released_bytes", site->released_bytes);
	vmt_emitter_u64(emitter, "released_committed_bytes", site->released_committed_bytes);
	vmt_emitter_bool(emitter, "released_committed_is_estimate",
			 site->released_committed_is_estimate);
	vmt_emitter_u64(emitter, "pins_bytes", site->pins_bytes);
	vmt_emitter_u64(emitter, "grown_bytes", site->grown_bytes);
	vmt_emitter_u64(emitter, "since_requested_bytes", site->since_requested_bytes);
	vmt_emitter_u64(emitter, "since_released_bytes", site->since_released_bytes);
	vmt_emitter_u64(emitter, "missed_requested_bytes", site->missed_requested_bytes);
	print_figure(emitter, "temporary_count", site->temporary_count);
	print_figure(emitter, "end_count", site->end_count);
	vmt_emitter_u64(emitter, "end_bytes", site->end_bytes);
	vmt_emitter_bool(emitter, "estimate", site->estimate);
	vmt_json_touch_site(emitter, report, site);
	vmt_json_frames_print(emitter, &site->stack, true);
	vmt_emitter_object_end(emitter);
}

static int
print_sites(struct vmt_emitter *emitter, const struct vmt_report *report,
	    const struct vmt_report *shown, const struct vmt_json_options *options,
	    struct vmt_err *err)
{
	const struct vmt_site **sites = vmt_rank_sites(shown, options->rank);
	size_t count = shown->site_count < options->top ? shown->site_count : options->top;
	int result;

	if (!sites && shown->site_count)
		return vmt_err_set(err, ENOMEM, "out of memory");
	vmt_emitter_array(emitter, "sites");
	for (size_t i = 0; i < count; i++)
		print_site(emitter, shown, sites[i]);
	vmt_emitter_array_end(emitter);
	result = vmt_json_history_print(
	    emitter, &(struct vmt_json_history){
			 .report = report, .shown = shown, .rows = sites, .count = count});
	free(sites);
	return result ? vmt_err_set(err, ENOMEM, "out of memory") : 0;
}

static void
print_files(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "files");
	for (size_t i = 0; i < report->file_count; i++) {
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "path", report->files[i].path);
		vmt_emitter_u64(emitter, "reserved_bytes", report->files[i].reserved_bytes);
		vmt_emitter_u64(emitter, "committed_bytes", report->files[i].committed_bytes);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_mappings(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "mappings");
	for (size_t i = 0; i < report->mapping_count; i++) {
		const struct vmt_mapping_row *row = &report->mappings[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_address(emitter, "start", row->start);
		vmt_emitter_address(emitter, "end", row->end);
		vmt_emitter_string(emitter, "path", row->path);
		vmt_emitter_string(emitter, "class", row->class);
		vmt_emitter_u64(emitter, "reserved_bytes", row->end - row->start);
		vmt_emitter_u64(emitter, "committed_bytes", row->committed_bytes);
		vmt_emitter_u64(emitter, "swapped_bytes", row->swapped_bytes);
		print_figure(emitter, "shared_bytes", row->shared_bytes);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_locks(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "locks");
	for (size_t i = 0; i < report->lock_count; i++) {
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "call", report->locks[i].call);
		vmt_emitter_u64(emitter, "calls", report->locks[i].calls);
		vmt_emitter_u64(emitter, "bytes", report->locks[i].bytes);
		vmt_json_frames_print(emitter, &report->locks[i].stack, true);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_advice(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "advice");
	for (size_t i = 0; i < report->advice_count; i++) {
		const struct vmt_advice *advice = &report->advice[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "advice", advice->advice);
		vmt_emitter_string(emitter, "cause", advice->cause);
		vmt_emitter_u64(emitter, "calls", advice->calls);
		vmt_emitter_u64(emitter, "failed_calls", advice->failed_calls);
		vmt_emitter_u64(emitter, "bytes", advice->bytes);
		vmt_emitter_u64(emitter, "committed_before_bytes", advice->committed_before_bytes);
		vmt_emitter_bool(emitter, "committed_before_is_estimate",
				 advice->committed_before_is_estimate);
		vmt_emitter_u64(emitter, "taken_bytes", advice->taken_bytes);
		vmt_emitter_u64(emitter, "since_taken_bytes", advice->since_taken_bytes);
		vmt_emitter_u64(emitter, "stayed_bytes", advice->stayed_bytes);
		vmt_emitter_u64(emitter, "private_file_bytes", advice->private_file_bytes);
		vmt_emitter_u64(emitter, "mapped_now_bytes", advice->mapped_now_bytes);
		vmt_emitter_u64(emitter, "committed_now_bytes", advice->committed_now_bytes);
		vmt_emitter_u64(emitter, "huge_now_bytes", advice->huge_now_bytes);
		vmt_json_frames_print(emitter, &advice->stack, true);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_rss(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "rss");
	for (size_t i = 0; i < report->rss_count; i++) {
		vmt_emitter_array(emitter, NULL);
		vmt_emitter_i64(emitter, NULL, report->rss[i].time_ns);
		vmt_emitter_u64(emitter, NULL, report->rss[i].rss_bytes);
		vmt_emitter_array_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_cgroup(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "cgroup");
	vmt_emitter_bool(emitter, "is_read", report->cgroup.is_read);
	print_figure(emitter, "limit_bytes", report->cgroup.limit_bytes);
	print_figure(emitter, "peak_bytes", report->cgroup.peak_bytes);
	vmt_emitter_bool(emitter, "peak_sampled", report->cgroup.peak_sampled);
	print_figure(emitter, "oom_kills", report->cgroup.oom_kills);
	vmt_emitter_object(emitter, "fullest");
	vmt_emitter_i64(emitter, "time_ns", report->cgroup.fullest.time_ns);
	print_figure(emitter, "bytes", report->cgroup.fullest.bytes);
	print_figure(emitter, "anonymous_bytes", report->cgroup.fullest.anonymous_bytes);
	print_figure(emitter, "file_bytes", report->cgroup.fullest.file_bytes);
	print_figure(emitter, "shared_memory_bytes", report->cgroup.fullest.shared_memory_bytes);
	vmt_emitter_u64(emitter, "process_rss_bytes", report->cgroup.fullest.process_rss_bytes);
	vmt_emitter_object_end(emitter);
	vmt_emitter_object_end(emitter);
}

static void
print_loss(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "loss");
	vmt_emitter_u64(emitter, "events", report->loss.events);
	vmt_emitter_u64(emitter, "events_dropped", report->loss.events_dropped);
	vmt_emitter_u64(emitter, "events_overwritten", report->loss.events_overwritten);
	vmt_emitter_u64(emitter, "stacks_dropped", report->loss.stacks_dropped);
	vmt_emitter_u64(emitter, "samples_dropped", report->loss.samples_dropped);
	vmt_emitter_u64(emitter, "slots_abandoned", report->loss.slots_abandoned);
	vmt_emitter_u64(emitter, "events_missing", report->loss.events_missing);
	vmt_emitter_u64(emitter, "events_thinned", report->loss.events_thinned);
	print_figure(emitter, "max_bytes",
		     report->loss.max_bytes ? report->loss.max_bytes : VMT_FIGURE_UNKNOWN);
	print_time(emitter, "thinned_from_ns", report->loss.is_thinned,
		   report->loss.thinned_from_ns);
	print_time(emitter, "full_from_ns", report->loss.is_full, report->loss.full_from_ns);
	vmt_emitter_u64(emitter, "events_unknown", report->loss.events_unknown);
	vmt_emitter_u64(emitter, "chunks_unknown", report->loss.chunks_unknown);
	vmt_emitter_u64(emitter, "cut_bytes", report->loss.cut_bytes);
	vmt_emitter_bool(emitter, "cut", report->loss.cut);
	vmt_emitter_u64(emitter, "snapshots_skipped", report->loss.snapshots_skipped);
	vmt_emitter_object_end(emitter);
}

/* What the file is, whatever it tells. */
static void
print_trace(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "trace");
	vmt_emitter_u64(emitter, "compiled_functions", report->compiled.functions);
	if (report->packed.modules == 0) {
		vmt_emitter_string(emitter, "packed", NULL);
	} else {
		vmt_emitter_object(emitter, "packed");
		vmt_emitter_u64(emitter, "modules", report->packed.modules);
		vmt_emitter_u64(emitter, "addresses", report->packed.addresses);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_object_end(emitter);
}

static void
print_coverage(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_object(emitter, "coverage");
	vmt_emitter_string(emitter, "stacks", report->coverage.stacks);
	vmt_emitter_string(emitter, "malloc", report->coverage.malloc_mode);
	vmt_emitter_bool(emitter, "own_malloc", report->coverage.own_malloc);
	vmt_emitter_u64(emitter, "malloc_sample_bytes", report->coverage.malloc_sample_bytes);
	vmt_emitter_u64(emitter, "malloc_one_in", report->loss.one_in);
	vmt_emitter_u64(emitter, "malloc_one_in_at_snapshot", report->loss.one_in_at_snapshot);
	vmt_json_go_sites(emitter, report);
	vmt_emitter_array(emitter, "blind_spots");
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		vmt_emitter_string(emitter, NULL, report->coverage.blind_spots[i]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

static void
print_selection_sum(struct vmt_emitter *emitter, const char *key,
		    const struct vmt_selection_sum *sum)
{
	vmt_emitter_object(emitter, key);
	vmt_emitter_u64(emitter, "sites", sum->sites);
	vmt_emitter_u64(emitter, "committed_bytes", sum->committed_bytes);
	vmt_emitter_u64(emitter, "reserved_bytes", sum->reserved_bytes);
	vmt_emitter_object_end(emitter);
}

/* Which rows are left out; null: none. */
static void
print_selection(struct vmt_emitter *emitter, const struct vmt_selection *selection)
{
	if (!selection) {
		vmt_emitter_string(emitter, "selection", NULL);
		return;
	}
	vmt_emitter_object(emitter, "selection");
	vmt_json_frames_patterns(emitter, selection->patterns);
	print_selection_sum(emitter, "shown", &selection->part);
	print_selection_sum(emitter, "all", &selection->all);
	vmt_emitter_object_end(emitter);
}

static void
print_aggregate_row(struct vmt_emitter *emitter, const struct vmt_aggregate_row *row)
{
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "name", row->name);
	vmt_emitter_u64(emitter, "sites", row->sites);
	vmt_emitter_u64(emitter, "count", row->sum.count);
	vmt_emitter_u64(emitter, "live_count", row->sum.live_count);
	vmt_emitter_u64(emitter, "reserved_bytes", row->sum.reserved_bytes);
	vmt_emitter_u64(emitter, "committed_bytes", row->sum.committed_bytes);
	vmt_emitter_u64(emitter, "swapped_bytes", row->sum.swapped_bytes);
	vmt_emitter_u64(emitter, "never_touched_bytes", row->sum.never_touched_bytes);
	vmt_emitter_u64(emitter, "released_bytes", row->sum.released_bytes);
	vmt_emitter_bool(emitter, "estimate", row->sum.estimate);
	vmt_emitter_object_end(emitter);
}

/* Call sites added up; null: nobody asked for it. */
static int
print_aggregate(struct vmt_emitter *emitter, const struct vmt_report *report,
		const struct vmt_json_options *options, struct vmt_err *err)
{
	struct vmt_aggregate aggregate;

	if (options->by == VMT_AGGREGATE_NONE) {
		vmt_emitter_string(emitter, "aggregate", NULL);
		return 0;
	}
	if (vmt_aggregate_make(&aggregate, report, options->by, options->rank) < 0)
		return vmt_err_set(err, ENOMEM, "out of memory");
	vmt_emitter_object(emitter, "aggregate");
	vmt_emitter_string(emitter, "by",
			   vmt_aggregate_words[options->by - VMT_AGGREGATE_FUNCTION]);
	vmt_emitter_array(emitter, "rows");
	for (size_t i = 0; i < aggregate.count && i < options->top; i++)
		print_aggregate_row(emitter, &aggregate.rows[i]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
	vmt_aggregate_free(&aggregate);
	return 0;
}

int
vmt_json_print(const struct vmt_report *report, const struct vmt_json_options *options, FILE *out,
	       struct vmt_err *err)
{
	const struct vmt_report *shown = options->selection ? &options->selection->shown : report;
	struct vmt_emitter emitter;
	int result;

	vmt_emitter_begin(&emitter, out, VMT_EMITTER_JSON);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_string(&emitter, "schema", "vmtrace-report/1");
	print_process(&emitter, report);
	print_snapshot(&emitter, report);
	print_peak(&emitter, report);
	print_since(&emitter, report);
	print_totals(&emitter, report);
	print_classes(&emitter, report);
	print_retained(&emitter, report);
	print_selection(&emitter, options->selection);
	result = print_aggregate(&emitter, shown, options, err);
	if (result == 0)
		result = print_sites(&emitter, report, shown, options, err);
	if (result < 0)
		return result;
	vmt_json_touch_committers(&emitter, report);
	print_files(&emitter, report);
	print_mappings(&emitter, report);
	print_advice(&emitter, shown);
	print_locks(&emitter, shown);
	print_rss(&emitter, report);
	vmt_json_go(&emitter, report);
	print_cgroup(&emitter, report);
	print_loss(&emitter, report);
	vmt_json_touch(&emitter, report);
	print_trace(&emitter, report);
	print_coverage(&emitter, report);
	vmt_emitter_object_end(&emitter);
	return vmt_emitter_finish(&emitter, err);
}
