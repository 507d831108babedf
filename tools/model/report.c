#include "tools/model/report.h"

#include "tools/model/building.h"
#include "tools/model/moment.h"
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
joined_arguments(struct vmt_building *building, const void *arguments, size_t length)
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
	return vmt_strings_intern(building->strings, text, length);
}

/* The last one; what can't be read is left out. */
static void
fill_title(struct vmt_building *building)
{
	struct vmt_report *report = &building->report;
	const struct vmt_trace_chunk *last = NULL;
	const unsigned char *bytes;
	struct vmt_err err = {""};
	size_t count, length;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(building->trace, &count);
	char *title;

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_TITLE)
			last = &chunks[i];
	if (!last || vmt_trace_payload(building->trace, last, &bytes, &length, &err) < 0)
		return;
	title = joined_arguments(building, bytes, length);
	if (title && *title && strcmp(title, report->process.cmdline) != 0)
		report->process.title = title;
}

static int
fill_process(struct vmt_building *building)
{
	const struct vmt_head *head = vmt_trace_head(building->trace);
	struct vmt_report *report = &building->report;
	uint64_t last = building->last_time;
	int64_t duration;

	if (head->clock_last.ticks > last)
		last = head->clock_last.ticks;
	duration = vmt_trace_time_ns(building->trace, last);
	report->process.pid = head->pid;
	report->process.traces_removed = head->traces_removed;
	report->process.exe = vmt_strings_intern(building->strings, head->exe, VMT_EXE_BYTES);
	report->process.cmdline = joined_arguments(building, head->cmdline, head->cmdline_bytes);
	report->process.start_unix_ns = head->start_unix_ns;
	report->process.duration_ns = last && duration > 0 ? (uint64_t)duration : 0;
	report->process.last_event_ns = vmt_trace_time_ns(building->trace, building->last_event);
	report->process.end = vmt_trace_end(building->trace, &report->process.end_status);
	if (vmt_process_end_is_short(vmt_trace_head(building->trace)))
		report->process.shortage =
		    vmt_process_end_shortage(vmt_trace_head(building->trace)->end_status);
	report->process.end_seen = vmt_trace_end_chunk(building->trace) != NULL;
	if (!report->process.exe || !report->process.cmdline)
		return -ENOMEM;
	fill_title(building);
	return 0;
}

/* What was left out so that the file stays within its bound. */
static void
fill_bound(struct vmt_building *building)
{
	const struct vmt_head *head = vmt_trace_head(building->trace);
	const uint64_t *thin_from = vmt_trace_thin_from(building->trace);
	struct vmt_report *report = &building->report;

	report->loss.events_thinned = vmt_trace_loss(building->trace)->events_thinned;
	report->loss.max_bytes = head->max_bytes;
	report->loss.is_thinned = thin_from[1] != UINT64_MAX;
	if (report->loss.is_thinned)
		report->loss.thinned_from_ns = vmt_trace_time_ns(building->trace, thin_from[1]);
	report->loss.one_in = UINT64_C(1) << building->replay->thin_level;
	report->loss.one_in_at_snapshot = UINT64_C(1) << building->joined_level;
	report->loss.is_full = head->full_since != 0;
	if (report->loss.is_full)
		report->loss.full_from_ns = vmt_trace_time_ns(building->trace, head->full_since);
	report->coverage.thinned_bytes = (uint64_t)building->replay->thinned_bytes;
}

static void
fill_loss(struct vmt_building *building)
{
	const struct vmt_trace_loss *loss = vmt_trace_loss(building->trace);
	struct vmt_report *report = &building->report;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(building->trace, &count);

	report->loss.events_dropped = loss->events_dropped;
	report->loss.events_overwritten = loss->events_overwritten;
	report->loss.stacks_dropped = loss->stacks_dropped;
	report->loss.samples_dropped = loss->samples_dropped;
	report->loss.slots_abandoned = loss->slots_abandoned;
	report->loss.events_missing = loss->events_missing;
	report->loss.chunks_unknown = loss->chunks_unknown;
	report->loss.cut_bytes = loss->cut_bytes;
	report->loss.cut = loss->cut;
	fill_bound(building);
	for (size_t i = 0; i < count; i++) {
		struct vmt_err err = {{0}};
		struct vmt_chunk_end end;
		const unsigned char *bytes;
		size_t length;

		if (chunks[i].header.kind != VMT_CHUNK_END ||
		    vmt_trace_payload(building->trace, &chunks[i], &bytes, &length, &err) ||
		    length < sizeof(end))
			continue;
		memcpy(&end, bytes, sizeof(end));
		report->loss.snapshots_skipped = end.snapshots_skipped;
		if (end.time > building->last_time)
			building->last_time = end.time;
	}
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
fill_snapshot(struct vmt_building *building)
{
	const struct vmt_snapshot_head *head = &building->snapshot.head;
	const struct vmt_residency *residency = &building->residency;
	struct vmt_report *report = &building->report;
	uint64_t rss = residency->total.bytes[VMT_AMOUNT_COMMITTED];

	report->snapshot.taken = true;
	report->snapshot.time_ns = vmt_trace_time_ns(building->trace, head->time);
	report->snapshot.rss_bytes = rss;
	report->snapshot.virtual_bytes = residency->total.bytes[VMT_AMOUNT_RESERVED];
	report->snapshot.swap_bytes = residency->total.bytes[VMT_AMOUNT_SWAPPED];
	report->snapshot.lazyfree_bytes = head->lazyfree_bytes;
	report->snapshot.huge_bytes = head->huge_bytes;
	report->snapshot.shared_bytes = head->shared_rss_bytes == VMT_FIGURE_UNKNOWN
					    ? VMT_FIGURE_UNKNOWN
					    : residency->total.bytes[VMT_AMOUNT_SHARED];
	report->snapshot.skew_bytes = vmt_building_larger_known(skew(rss, head->rss_before_bytes),
								skew(rss, head->rss_after_bytes));
	report->snapshot.kernel = head->kernel;
	report->snapshot.kernel_rss = vmt_kernel_rss_compare(head, rss);
	report->snapshot.source = source_name(head->source);
	report->snapshot.index = head->index;
	report->totals.reserved_bytes = residency->total.bytes[VMT_AMOUNT_RESERVED];
	report->totals.accessible_bytes = residency->total.bytes[VMT_AMOUNT_ACCESSIBLE];
	report->totals.committed_bytes = rss;
	report->totals.file_bytes = residency->file_bytes;
	report->totals.unattributed_bytes =
	    residency->classes[VMT_CLASS_UNATTRIBUTED].bytes[VMT_AMOUNT_COMMITTED];
	report->totals.vmtrace_bytes =
	    residency->classes[VMT_CLASS_TRACER].bytes[VMT_AMOUNT_COMMITTED];
}

static int
fill_line(struct vmt_building *building)
{
	struct vmt_report *report = &building->report;

	report->rss = calloc(VMT_RSS_POINTS, sizeof(*report->rss));
	if (!report->rss)
		return -ENOMEM;
	report->rss_count = vmt_rss_line_points(building->line, report->rss);
	return 0;
}

static int
fill(struct vmt_building *building)
{
	struct vmt_report *report = &building->report;
	int status;

	fill_loss(building);
	status = fill_process(building);
	if (building->joined)
		fill_snapshot(building);
	report->totals.double_acquisitions = building->replay->double_acquisitions;
	report->totals.unknown_releases = building->replay->unknown_releases;
	report->totals.live_blocks = vmt_blocks_count(building->replay->blocks);
	report->totals.live_block_bytes = vmt_blocks_bytes(building->replay->blocks);
	vmt_replay_drop_blocks(building->replay);
	if (!status)
		status = vmt_coverage_fill(building);
	if (!status)
		status = vmt_go_report_fill(building);
	if (!status)
		status = vmt_rows_fill(building);
	return status ? status : fill_line(building);
}

/* Without names for the report, stacks are looked up only where a Go runtime is known to be. */
static int
set_up_go(struct vmt_building *building, const struct vmt_head *head)
{
	struct vmt_go_owners_input input = {
	    .trace = building->trace,
	    .eras = building->replay->eras,
	    .sites = building->replay->sites,
	    .symbols = building->names,
	};

	if (!building->options->symbols && !head->go.version[0])
		return 0;
	building->go_owners = vmt_go_owners_new(&input);
	return building->go_owners ? 0 : -ENOMEM;
}

static bool
set_up_allocators(struct vmt_building *building, const struct vmt_head *head)
{
	struct vmt_allocators_input input = {
	    .trace = building->trace,
	    .eras = building->replay->eras,
	    .sites = building->replay->sites,
	    .symbols = building->options->symbols ? building->names : NULL,
	    .tracer_address = head->tracer_address,
	};

	building->allocators = vmt_allocators_new(&input);
	return building->allocators != NULL;
}

static int
set_up(struct vmt_building *building)
{
	const struct vmt_head *head = vmt_trace_head(building->trace);
	struct vmt_replay_options options = {
	    .stacks = {stack_of, building->trace},
	    .sample_bytes = head->malloc_mode == VMT_MALLOC_SAMPLED ? head->malloc_sample_bytes : 0,
	    .thin_from = vmt_trace_thin_from(building->trace),
	    .random_id = head->random_id,
	    .forked = (head->notes & VMT_NOTE_FORKED) != 0,
	};
	struct vmt_lookup_options names = {.cache = NULL};

	building->report.cgroup.limit_bytes = VMT_FIGURE_UNKNOWN;
	building->report.cgroup.peak_bytes = VMT_FIGURE_UNKNOWN;
	building->report.cgroup.last_bytes = VMT_FIGURE_UNKNOWN;
	building->report.cgroup.fullest.bytes = VMT_FIGURE_UNKNOWN;
	building->report.cgroup.fullest.anonymous_bytes = VMT_FIGURE_UNKNOWN;
	building->report.cgroup.fullest.file_bytes = VMT_FIGURE_UNKNOWN;
	building->report.cgroup.fullest.shared_memory_bytes = VMT_FIGURE_UNKNOWN;
	building->report.snapshot.lazyfree_bytes = VMT_FIGURE_UNKNOWN;
	building->report.snapshot.huge_bytes = VMT_FIGURE_UNKNOWN;
	building->report.snapshot.shared_bytes = VMT_FIGURE_UNKNOWN;
	memset(&building->report.snapshot.kernel, 0xff, sizeof(building->report.snapshot.kernel));
	building->strings = vmt_strings_new();
	building->line = calloc(1, sizeof(*building->line));
	building->replay = vmt_replay_new(&options);
	building->cache = building->options->cached ? vmt_disk_cache_open() : NULL;
	names.cache = building->cache;
	building->names = vmt_lookup_new(&names);
	if (!building->strings || !building->line || !building->replay || !building->names)
		return -ENOMEM;
	return set_up_allocators(building, head) ? set_up_go(building, head) : -ENOMEM;
}

/* What is needed no longer once the report is filled. */
static void
tear_down(struct vmt_building *building)
{
	vmt_residency_free(&building->residency);
	vmt_snapshot_decode_free(&building->snapshot);
	vmt_replay_free(building->replay);
	vmt_go_owners_free(building->go_owners);
	vmt_allocators_free(building->allocators);
	vmt_lookup_free(building->names);
	vmt_disk_cache_close(building->cache);
	free(building->line);
	vmt_trace_close(building->trace);
}

static int
build(struct vmt_building *building, const char *path, struct vmt_err *err)
{
	const struct vmt_trace_chunk *chosen;
	int status = vmt_trace_open(&building->trace, path, err);

	if (status)
		return status;
	if (set_up(building))
		return vmt_building_no_memory(err, path);
	status = vmt_moment_choose(building, &chosen, err);
	if (!status && chosen)
		status = vmt_snapshot_decode(&building->snapshot, building->trace, chosen, err);
	if (!status)
		status = vmt_report_events_replay(building, chosen != NULL, path, err);
	if (!status && fill(building))
		status = vmt_building_no_memory(err, path);
	return status;
}

int
vmt_report_build(struct vmt_report **report, const char *path,
		 const struct vmt_report_options *options, struct vmt_err *err)
{
	struct vmt_building *building = calloc(1, sizeof(*building));
	int status;

	*report = NULL;
	if (!building)
		return vmt_building_no_memory(err, path);
	building->options = options;
	status = build(building, path, err);
	tear_down(building);
	if (status)
		vmt_report_free(&building->report);
	else
		*report = &building->report;
	return status;
}

void
vmt_report_free(struct vmt_report *report)
{
	struct vmt_building *building = (struct vmt_building *)(void *)report;

	if (!report)
		return;
	vmt_rows_free(report);
	vmt_go_report_free(report);
	free(report->rss);
	free(report->coverage.blind_spots);
	vmt_strings_free(building->strings);
	free(building);
}

bool
vmt_report_is_c_library(const struct vmt_frame *frame)
{
	static const char *const names[] = {
	    "libc.so",	"libc-",   "libpthread", "ld-linux",	 "libstdc++.so", "libc++.so",
	    "libgcc_s", "libm.so", "libvmtrace", "libc++abi.so", "ld-musl",	 "[vdso]"};
	const char *slash = frame->module ? strrchr(frame->module, '/') : NULL;
	const char *base = slash ? slash + 1 : frame->module;

	for (size_t i = 0; base && i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(base, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}
