#include "format/advice.h"
#include "tools/model/report/go_advice.h"
#include "tools/model/report/report_draft.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
vmt_report_rows_call(uint8_t kind)
{
	static const char *const names[VMT_EVENT_KINDS] = {
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) [id] = (call),
#include "format/event_kinds.def"
	};

	return kind < VMT_EVENT_KINDS && names[kind] ? names[kind] : "unknown";
}

/* Calls that give pages back and no address space. */
static bool
is_advice(struct vmt_site_key key)
{
	return key.kind == VMT_EVENT_MADVISE || key.kind == VMT_EVENT_FILE_RELEASE;
}

/* NULL: no memory. */
static const char *
advice_name(struct vmt_report_draft *draft, struct vmt_site_key key)
{
	uint16_t advice = key.advice;
	const char *name = key.kind == VMT_EVENT_FILE_RELEASE ? vmt_file_release_name(advice)
							      : vmt_advice_name(advice);
	char number[32];
	int length;

	if (name)
		return name;
	length = snprintf(number, sizeof(number), "advice %u", advice);
	return vmt_string_set_intern(draft->strings, number, (size_t)length);
}

static int
fill_classes(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	bool shares_known =
	    draft->joined && draft->snapshot.head.shared_rss_bytes != VMT_FIGURE_UNKNOWN;

	report->classes = calloc(VMT_CLASSES, sizeof(*report->classes));
	if (!report->classes)
		return -ENOMEM;
	for (int i = 0; i < VMT_CLASSES; i++) {
		const uint64_t *bytes = draft->attribution.classes[i].bytes;

		if (!bytes[VMT_AMOUNT_RESERVED] && !bytes[VMT_AMOUNT_COMMITTED] &&
		    !bytes[VMT_AMOUNT_SWAPPED])
			continue;
		report->classes[report->class_count++] = (struct vmt_class){
		    .name = vmt_classes_name((enum vmt_class_id)i),
		    .reserved_bytes = bytes[VMT_AMOUNT_RESERVED],
		    .accessible_bytes = bytes[VMT_AMOUNT_ACCESSIBLE],
		    .committed_bytes = bytes[VMT_AMOUNT_COMMITTED],
		    .swapped_bytes = bytes[VMT_AMOUNT_SWAPPED],
		    .never_touched_bytes = bytes[VMT_AMOUNT_UNTOUCHED],
		    .hugetlb_bytes = bytes[VMT_AMOUNT_HUGETLB],
		    .shared_bytes = shares_known ? bytes[VMT_AMOUNT_SHARED] : VMT_FIGURE_UNKNOWN,
		};
	}
	return 0;
}

static uint64_t
at_most(double bytes, uint64_t most)
{
	return bytes < (double)most ? (uint64_t)bytes : most;
}

/* From samples the sites' parts need not add up to the whole: never more than it. */
static void
scale_pins(struct vmt_sites *sites, double most_bytes)
{
	double sum = 0;

	for (uint32_t i = 0; i < vmt_sites_count(sites); i++)
		sum += vmt_sites_get(sites, i)->estimate[VMT_FIGURE_PINS];
	if (sum <= most_bytes)
		return;
	for (uint32_t i = 0; i < vmt_sites_count(sites); i++)
		vmt_sites_get(sites, i)->estimate[VMT_FIGURE_PINS] *= most_bytes / sum;
}

/*
 * By how much the density of blocks may be off, as a part of it: one deviation. A site's blocks are
 * as many samples as its bytes have sampling intervals, and each site counts by the free memory
 * that lies below its blocks.
 */
static double
density_error(struct vmt_report_draft *draft)
{
	double interval = (double)draft->replay->sample_bytes;
	struct vmt_sites *sites = draft->replay->sites;
	double sum = 0;
	double variance = 0;

	for (uint32_t i = 0; i < vmt_sites_count(sites); i++)
		sum += (double)vmt_sites_figure(vmt_sites_get(sites, i), VMT_FIGURE_PINS);
	for (uint32_t i = 0; i < vmt_sites_count(sites) && sum > 0; i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(sites, i);
		double part = (double)vmt_sites_figure(entry, VMT_FIGURE_PINS) / sum;
		double bytes = (double)vmt_sites_figure(entry, VMT_FIGURE_RESERVED);

		if (part > 0 && bytes > 0)
			variance += part * part * interval / bytes;
	}
	return sqrt(variance);
}

/* A page is free of hidden blocks with the probability exp(-x), x in proportion to their density
 * (retained.h): so the part of the free memory that is whole pages tells x, and the density's error
 * that of x. That is where blocks lie by chance; no two of them share a page where they lie in
 * regular distances, and then the part 1 - x is whole pages. Three deviations either way. */
static void
fill_range(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	double free_bytes = (double)report->retained.free_page_bytes;
	double all = free_bytes + (double)report->retained.pinned_bytes;
	double x, off;

	report->retained.free_page_least_bytes = report->retained.free_page_bytes;
	report->retained.free_page_most_bytes = report->retained.free_page_bytes;
	if (draft->replay->sample_bytes == 0 || free_bytes <= 0 || all <= free_bytes)
		return;
	x = log(all / free_bytes);
	off = 3 * density_error(draft) * x;
	report->retained.free_page_least_bytes = x + off < 1 ? (uint64_t)(all * (1 - x - off)) : 0;
	report->retained.free_page_most_bytes = at_most(free_bytes * exp(off), (uint64_t)all);
}

static void
fill_retained(struct vmt_report_draft *draft)
{
	const struct vmt_attribution *attribution = &draft->attribution;
	struct vmt_report *report = &draft->report;
	uint64_t left = attribution->classes[VMT_CLASS_MALLOC_RETAINED].bytes[VMT_AMOUNT_COMMITTED];

	report->retained.allocator =
	    attribution->foreign_allocator ? vmt_allocators_name(draft->allocators) : "glibc";
	report->retained.is_split = draft->joined && attribution->is_split;
	if (!report->retained.is_split)
		return;
	report->retained.estimate = draft->replay->sample_bytes > 0 || draft->joined_level > 0;
	report->retained.overhead_bytes = at_most(attribution->retained.overhead_bytes, left);
	left -= report->retained.overhead_bytes;
	scale_pins(draft->replay->sites, (double)left);
	report->retained.free_page_bytes = at_most(attribution->retained.free_page_bytes, left);
	report->retained.pinned_bytes = left - report->retained.free_page_bytes;
	fill_range(draft);
}

static int
fill_files(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	const struct vmt_mapped_file *rows;

	if (!draft->attribution.files)
		return 0;
	rows = vmt_files_rows(draft->attribution.files);
	report->files = calloc(HASH_COUNT(rows) + 1, sizeof(*report->files));
	if (!report->files)
		return -ENOMEM;
	for (const struct vmt_mapped_file *row = rows; row; row = row->hh.next) {
		char *path;

		if (!row->reserved_bytes)
			continue;
		path = vmt_string_set_intern(draft->strings, row->path, row->path_bytes);
		if (!path)
			return -ENOMEM;
		report->files[report->file_count++] = (struct vmt_file_row){
		    .path = path,
		    .class = vmt_classes_name((enum vmt_class_id)row->class),
		    .reserved_bytes = row->reserved_bytes,
		    .committed_bytes = row->committed_bytes,
		};
	}
	return 0;
}

static int
fill_mappings(struct vmt_report_draft *draft)
{
	const struct vmt_largest_mappings *largest = &draft->attribution.largest;
	bool shares_known =
	    draft->joined && draft->snapshot.head.shared_rss_bytes != VMT_FIGURE_UNKNOWN;
	struct vmt_report *report = &draft->report;

	report->mappings = calloc(largest->count + 1, sizeof(*report->mappings));
	if (!report->mappings)
		return -ENOMEM;
	for (size_t i = 0; i < largest->count; i++) {
		const struct vmt_mapping *mapping = largest->items[i].mapping;
		const uint64_t *bytes = largest->items[i].total.bytes;
		char *path =
		    vmt_string_set_intern(draft->strings, mapping->path, mapping->path_bytes);

		if (!path)
			return -ENOMEM;
		report->mappings[report->mapping_count++] = (struct vmt_mapping_row){
		    .start = mapping->start,
		    .end = mapping->end,
		    .class = vmt_classes_name((enum vmt_class_id)largest->items[i].class),
		    .path = path,
		    .protection = mapping->protection,
		    .shared = mapping->shared,
		    .committed_bytes = bytes[VMT_AMOUNT_COMMITTED],
		    .swapped_bytes = bytes[VMT_AMOUNT_SWAPPED],
		    .shared_bytes = shares_known ? bytes[VMT_AMOUNT_SHARED] : VMT_FIGURE_UNKNOWN,
		};
	}
	return 0;
}

/* A variant that was folded into another one has nothing left. */
static bool
is_empty(const struct vmt_site_entry *entry)
{
	for (int i = 0; i < VMT_FIGURES; i++)
		if (entry->exact[i] || entry->estimate[i] != 0)
			return false;
	return true;
}

/* The kernel id of the thread that made a site's calls, where threads are told apart. */
static uint32_t
thread_of(const struct vmt_report_draft *draft, const struct vmt_site_entry *entry)
{
	uint32_t pid = draft->report.process.pid;

	if (!draft->options->by_thread)
		return 0;
	if (draft->replay->threads_by_bits[entry->key.advice])
		return draft->replay->threads_by_bits[entry->key.advice];
	return entry->key.advice == (pid & 0xffff) ? pid : 0;
}

static bool
is_of_blocks(const struct vmt_site_entry *entry)
{
	return entry->key.kind < VMT_EVENT_FIRST_OF_MAP;
}

static uint64_t
temporary_count(const struct vmt_report_draft *draft, const struct vmt_site_entry *entry)
{
	if (!is_of_blocks(entry) || !vmt_replay_state_is_whole(draft->replay))
		return VMT_FIGURE_UNKNOWN;
	return vmt_sites_figure(entry, VMT_FIGURE_TEMPORARY);
}

static void
add_site(struct vmt_report_draft *draft, const struct vmt_site_entry *entry)
{
	struct vmt_report *report = &draft->report;
	uint64_t held = vmt_sites_held(entry);
	uint64_t before = entry->exact[VMT_FIGURE_HELD_BEFORE];

	if (!report->snapshot.taken)
		report->totals.reserved_bytes += held;
	report->sites[report->site_count++] = (struct vmt_site){
	    .kind = vmt_report_rows_call(entry->key.kind),
	    .class =
		entry->class_lead_bytes ? vmt_classes_name((enum vmt_class_id)entry->class) : NULL,
	    .stack_id = entry->key.stack,
	    .thread = thread_of(draft, entry),
	    .count = vmt_sites_figure(entry, VMT_FIGURE_COUNT),
	    .live_count = vmt_sites_figure(entry, VMT_FIGURE_LIVE_COUNT),
	    .reserved_bytes =
		report->snapshot.taken ? vmt_sites_figure(entry, VMT_FIGURE_RESERVED) : held,
	    .accessible_bytes = vmt_sites_figure(entry, VMT_FIGURE_ACCESSIBLE),
	    .committed_bytes = vmt_sites_figure(entry, VMT_FIGURE_COMMITTED),
	    .swapped_bytes = vmt_sites_figure(entry, VMT_FIGURE_SWAPPED),
	    .never_touched_bytes = vmt_sites_figure(entry, VMT_FIGURE_UNTOUCHED),
	    .hugetlb_bytes = vmt_sites_figure(entry, VMT_FIGURE_HUGETLB),
	    .total_reserved_bytes = vmt_sites_figure(entry, VMT_FIGURE_TOTAL_RESERVED),
	    .released_bytes = vmt_sites_figure(entry, VMT_FIGURE_RELEASED),
	    .released_committed_bytes = vmt_sites_figure(entry, VMT_FIGURE_RELEASED_COMMITTED),
	    .pins_bytes = vmt_sites_figure(entry, VMT_FIGURE_PINS),
	    .grown_bytes = held > before ? held - before : 0,
	    .since_requested_bytes = vmt_sites_figure(entry, VMT_FIGURE_SINCE_RESERVED),
	    .since_released_bytes = vmt_sites_figure(entry, VMT_FIGURE_SINCE_RELEASED),
	    .missed_requested_bytes = vmt_sites_figure(entry, VMT_FIGURE_MISSED_RESERVED),
	    .end_count = is_of_blocks(entry) ? vmt_sites_figure(entry, VMT_FIGURE_END_COUNT)
					     : VMT_FIGURE_UNKNOWN,
	    .end_bytes = is_of_blocks(entry) ? vmt_sites_figure(entry, VMT_FIGURE_END_BYTES) : held,
	    .temporary_count = temporary_count(draft, entry),
	    .estimate = entry->estimated,
	    .released_committed_is_estimate = entry->sampled || entry->estimated,
	};
}

static int
add_advice(struct vmt_report_draft *draft, const struct vmt_site_entry *entry)
{
	struct vmt_report *report = &draft->report;
	const char *name = advice_name(draft, entry->key);

	if (!name)
		return -ENOMEM;
	report->advice[report->advice_count++] = (struct vmt_advice){
	    .advice = name,
	    .calls = vmt_sites_figure(entry, VMT_FIGURE_COUNT),
	    .failed_calls = vmt_sites_figure(entry, VMT_FIGURE_FAILED),
	    .bytes = vmt_sites_figure(entry, VMT_FIGURE_TOTAL_RESERVED),
	    .committed_before_bytes = vmt_sites_figure(entry, VMT_FIGURE_RELEASED_COMMITTED),
	    .committed_before_is_estimate = entry->sampled,
	    .taken_bytes = vmt_sites_figure(entry, VMT_FIGURE_CAME_BACK),
	    .since_taken_bytes = vmt_sites_figure(entry, VMT_FIGURE_SINCE_CAME_BACK),
	    .stayed_bytes = vmt_sites_figure(entry, VMT_FIGURE_STAYED),
	    .private_file_bytes = vmt_sites_figure(entry, VMT_FIGURE_OF_FILES),
	    .mapped_now_bytes = vmt_sites_figure(entry, VMT_FIGURE_RESERVED),
	    .committed_now_bytes = vmt_sites_figure(entry, VMT_FIGURE_COMMITTED),
	    .huge_now_bytes = vmt_sites_figure(entry, VMT_FIGURE_HUGE),
	};
	return 0;
}

static void
add_lock(struct vmt_report *report, const struct vmt_site_entry *entry)
{
	const char *call = vmt_lock_name(entry->key.advice);

	report->locks[report->lock_count++] = (struct vmt_lock){
	    .call = call ? call : "mlockall",
	    .calls = vmt_sites_figure(entry, VMT_FIGURE_COUNT),
	    .bytes = vmt_sites_figure(entry, VMT_FIGURE_TOTAL_RESERVED),
	};
}

/* Of which kind a row is: *stack is to be filled. */
static int
add_row(struct vmt_report_draft *draft, uint32_t site, struct vmt_stack_frames **stack)
{
	const struct vmt_site_entry *entry = vmt_sites_get(draft->replay->sites, site);
	struct vmt_report *report = &draft->report;

	if (is_advice(entry->key)) {
		draft->advice_rows[site] = report->advice_count;
		if (add_advice(draft, entry))
			return -ENOMEM;
		*stack = &report->advice[report->advice_count - 1].stack;
	} else if (entry->key.kind == VMT_EVENT_MLOCK) {
		add_lock(report, entry);
		*stack = &report->locks[report->lock_count - 1].stack;
	} else {
		draft->site_rows[site] = report->site_count;
		add_site(draft, entry);
		*stack = &report->sites[report->site_count - 1].stack;
	}
	return 0;
}

static int
fill_sites(struct vmt_report_draft *draft, struct vmt_frames *frames)
{
	struct vmt_report *report = &draft->report;
	struct vmt_sites *sites = draft->replay->sites;
	uint32_t count = vmt_sites_count(sites);

	report->sites = calloc((size_t)count + 1, sizeof(*report->sites));
	report->advice = calloc((size_t)count + 1, sizeof(*report->advice));
	report->locks = calloc((size_t)count + 1, sizeof(*report->locks));
	draft->site_rows = malloc(((size_t)count + 1) * sizeof(*draft->site_rows));
	draft->advice_rows = malloc(((size_t)count + 1) * sizeof(*draft->advice_rows));
	if (!report->sites || !report->advice || !report->locks || !draft->site_rows ||
	    !draft->advice_rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(sites, i);
		struct vmt_stack_frames *stack;
		int status = 0;

		draft->site_rows[i] = draft->advice_rows[i] = SIZE_MAX;
		if (is_empty(entry))
			continue;
		vmt_report_draft_tell(draft, "naming call sites", i, count);
		status = add_row(draft, i, &stack);
		if (!status)
			status = vmt_frames_of_site(frames, entry, stack);
		if (status)
			return status;
		if (is_advice(entry->key))
			report->advice[report->advice_count - 1].cause = vmt_go_advice_of(stack);
	}
	return 0;
}

static int
note_troubles(struct vmt_report_draft *draft, const struct vmt_frames *frames)
{
	const char *example;
	uint32_t troubles = vmt_frames_troubles(frames, &example);

	if (!troubles)
		return 0;
	if (troubles == 1)
		return vmt_report_coverage_add(draft, "no source lines for one module: %s",
					       example);
	return vmt_report_coverage_add(draft, "no source lines for %u modules; the first: %s",
				       troubles, example);
}

static int
note_changed(struct vmt_report_draft *draft, const struct vmt_frames *frames)
{
	const char *example;
	uint32_t changed = vmt_frames_changed(frames, &example);
	int status;

	if (!changed)
		return 0;
	if (changed == 1)
		status = vmt_report_coverage_add(
		    draft,
		    "%s may have changed since it was recorded: it has no build-id. Its code has "
		    "no names",
		    example);
	else
		status = vmt_report_coverage_add(
		    draft,
		    "%u files may have changed since they were recorded: they have no build-id. "
		    "Their code has no names. The first is %s",
		    changed, example);
	if (!status)
		draft->report.coverage.nameless =
		    draft->report.coverage.blind_spots[draft->report.coverage.blind_spot_count - 1];
	return status;
}

int
vmt_report_rows_fill(struct vmt_report_draft *draft)
{
	struct vmt_frames_input input = {
	    .trace = draft->trace,
	    .history = draft->replay->history,
	    .sites = draft->replay->sites,
	    .strings = draft->strings,
	    .symbols = draft->options->symbols ? draft->names : NULL,
	    .compiled = draft->options->symbols ? draft->compiled : NULL,
	    .reused = &draft->report.compiled.reused,
	};
	struct vmt_frames *frames = vmt_frames_new(&input);
	int status = frames ? 0 : -ENOMEM;

	vmt_sites_merge(draft->replay->sites);
	if (!status)
		status = fill_classes(draft);
	if (!status)
		fill_retained(draft);
	if (!status)
		status = fill_files(draft);
	if (!status)
		status = fill_mappings(draft);
	if (!status)
		status = fill_sites(draft, frames);
	if (!status)
		status = note_troubles(draft, frames);
	if (!status)
		status = note_changed(draft, frames);
	if (!status)
		status = vmt_report_parts_fill(draft);
	if (!status)
		status = vmt_report_committers_fill(draft);
	if (!status)
		status = vmt_report_came_in_fill(draft);
	vmt_frames_free(frames);
	return status;
}

void
vmt_report_rows_free(struct vmt_report *report)
{
	for (size_t i = 0; i < report->site_count; i++)
		free(report->sites[i].stack.frames);
	for (size_t i = 0; i < report->advice_count; i++)
		free(report->advice[i].stack.frames);
	for (size_t i = 0; i < report->lock_count; i++)
		free(report->locks[i].stack.frames);
	free(report->locks);
	free(report->classes);
	free(report->sites);
	free(report->files);
	free(report->mappings);
	free(report->advice);
}
