#include "tools/model/go/go_memstats.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/go_chunk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text of the head, which has been checked. */
static char *
keep_text(struct vmt_report_draft *draft, const char *text)
{
	return vmt_string_set_intern(draft->strings, text, strlen(text));
}

static int
fill_sites(struct vmt_report_draft *draft, const struct vmt_go *go)
{
	struct vmt_report *report = &draft->report;

	report->coverage.go_sites =
	    calloc((size_t)go->sites_count + 1, sizeof(struct vmt_go_site_row));
	if (!report->coverage.go_sites)
		return -ENOMEM;
	for (uint32_t i = 0; i < go->sites_count; i++) {
		struct vmt_go_site_row *row = &report->coverage.go_sites[i];
		const struct vmt_go_site *site = &go->sites[i];

		row->patched = site->patched == 1;
		row->symbol = keep_text(draft, site->symbol);
		row->why = keep_text(draft, site->why);
		if (!row->symbol || !row->why)
			return -ENOMEM;
		report->coverage.go_site_count++;
	}
	return 0;
}

/* The module that the object lies in. */
static bool
module_of(const struct vmt_report_draft *draft, uint64_t address, struct vmt_module *module)
{
	uint32_t span = vmt_module_history_find(draft->replay->history, address);

	return span && vmt_trace_module(
			   draft->trace,
			   vmt_module_history_span(draft->replay->history, span)->module, module);
}

/* Where the counters' members lie; why that is not known, or NULL. */
static const char *
lay_out(const struct vmt_report_draft *draft, const struct vmt_go *go, struct vmt_go_layout *layout)
{
	struct vmt_module module;

	const struct vmt_go_offsets *offsets = vmt_go_offsets_of(go->version);

	if (!go->objects_count)
		return go->flags & VMT_GO_STRIPPED
			   ? "the program is stripped (-ldflags -s): its runtime's counters were "
			     "not found"
			   : "the program's symbol table does not name the runtime's counters";
	if (!module_of(draft, go->objects[0].address, &module))
		return "the file that holds the runtime's counters is unknown";
	if (!vmt_lookup_has_debug(draft->names, &module)) {
		const char *trouble = vmt_lookup_trouble(draft->names, &module);

		if (offsets) {
			vmt_go_memstats_lay_out_by_version(layout, offsets);
			return NULL;
		}
		/* The report outlives who says it. */
		if (trouble && !strstr(trouble, "no debug information"))
			trouble = vmt_string_set_intern(draft->strings, trouble, strlen(trouble));
		else
			trouble = NULL;
		return trouble ? trouble
			       : "the program has no debug information (-ldflags -w): the layout "
				 "of its runtime's counters is unknown";
	}
	vmt_go_memstats_lay_out(layout, draft->names, &module);
	return layout->usable ? NULL : "this Go version lays out its counters in an unknown way";
}

/* One chunk's figures; those of the report's snapshot go into the report. */
static bool
take_counters(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
	      const struct vmt_go_layout *layout)
{
	struct vmt_report *report = &draft->report;
	struct vmt_go_point *point = &report->go.points[report->go.point_count];
	const struct vmt_go_offsets *offsets =
	    vmt_go_offsets_of(vmt_trace_head(draft->trace)->go.version);
	struct vmt_go_chunk_read counters;
	struct vmt_err err = {{0}};
	const unsigned char *bytes;
	size_t length;

	if (vmt_trace_payload(draft->trace, chunk, &bytes, &length, &err) ||
	    vmt_go_chunk_read(&counters, bytes, length, &err) ||
	    !vmt_go_memstats_add_up(&point->figures, layout, &counters))
		return false;
	if (offsets)
		vmt_go_memstats_add_pace(&point->figures, offsets, &counters);
	point->time_ns = vmt_trace_time_ns(draft->trace, counters.head.time);
	report->go.point_count++;
	if (!draft->joined || counters.head.snapshot != report->snapshot.index)
		return false;
	report->go.figures = point->figures;
	return true;
}

/* With each snapshot the counters are tried; the first may come before anything is known of Go. */
static bool
was_refused(const struct vmt_report_draft *draft)
{
	size_t count;
	size_t snapshots = 0;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	for (size_t i = 0; i < count; i++) {
		if (chunks[i].header.kind == VMT_CHUNK_GO)
			return false;
		snapshots += chunks[i].header.kind == VMT_CHUNK_SNAPSHOT;
	}
	return snapshots > 1;
}

static int
fill_figures(struct vmt_report_draft *draft, const struct vmt_go *go)
{
	struct vmt_report *report = &draft->report;
	struct vmt_go_layout layout;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	bool found = false;

	report->go.points = calloc(count + 1, sizeof(*report->go.points));
	if (!report->go.points)
		return -ENOMEM;
	report->go.is_several = (go->flags & VMT_GO_SEVERAL) ||
				(draft->go_owners && vmt_go_sites_several(draft->go_owners));
	report->go.uncounted = report->go.is_several
				   ? "the process holds several Go runtimes, each with its own "
				     "counters: only those of one were read"
				   : lay_out(draft, go, &layout);
	for (size_t i = 0; !report->go.uncounted && i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_GO)
			found |= take_counters(draft, &chunks[i], &layout);
	if (!report->go.uncounted && !found)
		report->go.uncounted =
		    vmt_trace_head(draft->trace)->notes & (VMT_NOTE_SNAPSHOT | VMT_NOTE_WATCHED)
			? "the kernel did not let this user read the process's memory "
			  "(ptrace_scope): root may"
		    : was_refused(draft)
			? "the collector was not allowed to read the process's memory "
			  "(kernel.yama.ptrace_scope, a seccomp filter); vmtrace record usually is"
			: "the runtime's counters were not read with this snapshot";
	return 0;
}

static uint64_t
committed_of(const struct vmt_report_draft *draft, enum vmt_class_id class)
{
	return draft->attribution.classes[class].bytes[VMT_AMOUNT_COMMITTED];
}

static bool
has_patched_site(const struct vmt_report *report)
{
	for (size_t i = 0; i < report->coverage.go_site_count; i++)
		if (report->coverage.go_sites[i].patched)
			return true;
	return report->coverage.go_site_count == 0;
}

static void
fill_shares(struct vmt_report_draft *draft)
{
	const uint32_t seen_late = VMT_NOTE_SNAPSHOT | VMT_NOTE_WATCHED | VMT_NOTE_ATTACHED;
	struct vmt_report *report = &draft->report;

	for (int i = VMT_CLASS_GO_HEAP; i <= VMT_CLASS_GO_OTHER; i++)
		report->go.go_bytes += committed_of(draft, (enum vmt_class_id)i);
	report->go.unseen = report->go.go_bytes == 0 && !has_patched_site(report);
	report->go.is_partial = (vmt_trace_head(draft->trace)->notes & seen_late) != 0;
	report->go.heap_alone = draft->attribution.go_claimed && !has_patched_site(report);
	report->go.malloc_unseen = draft->blocks_unseen;
	report->go.malloc_live_bytes = committed_of(draft, VMT_CLASS_MALLOC_LIVE);
	report->go.malloc_retained_bytes = committed_of(draft, VMT_CLASS_MALLOC_RETAINED);
	report->go.neither_bytes = report->snapshot.rss_bytes - report->go.go_bytes -
				   report->go.malloc_live_bytes - report->go.malloc_retained_bytes;
}

/* The sites that are not patched for the reason of site `first`, as one line; the first of them
 * says it. */
static int
add_unpatched(struct vmt_report_draft *draft, size_t first)
{
	const struct vmt_report *report = &draft->report;
	const char *why = report->coverage.go_sites[first].why;
	char symbols[512] = "";

	for (size_t i = 0; i < report->coverage.go_site_count; i++) {
		const struct vmt_go_site_row *row = &report->coverage.go_sites[i];
		size_t used = strlen(symbols);

		if (row->patched || strcmp(row->why, why) != 0)
			continue;
		if (i < first)
			return 0;
		snprintf(symbols + used, sizeof(symbols) - used, "%s%s", used ? ", " : "",
			 row->symbol);
	}
	return vmt_report_coverage_add(
	    draft, "raw system calls of the Go runtime are not recorded in %s: %s", symbols, why);
}

static int
add_blind_spots(struct vmt_report_draft *draft, const struct vmt_go *go)
{
	const struct vmt_report *report = &draft->report;
	int status = 0;

	for (size_t i = 0; !status && i < report->coverage.go_site_count; i++)
		if (!report->coverage.go_sites[i].patched)
			status = add_unpatched(draft, i);
	if (!status && go->flags & VMT_GO_RACE)
		status = vmt_report_coverage_add(
		    draft, "built with Go's race detector: its shadow memory, mapped "
			   "by system calls of its own, is under unattributed");
	if (!status && report->go.is_several)
		status = vmt_report_coverage_add(
		    draft,
		    "of several Go runtimes in the process, one at most was read: goroutines, "
		    "lines and what its heap is used for are that one's. The heaps of the "
		    "others are under \"Go heap\"%s",
		    report->go.is_partial ? ", and under \"anonymous memory\" where they are from "
					    "before the process was looked at"
					  : "");
	if (!status && report->go.uncounted)
		status = vmt_report_coverage_add(draft, "what the Go runtime itself counts: %s",
						 report->go.uncounted);
	return status;
}

/* One that came with a library later on, of which the head knows nothing. */
static int
add_unread(struct vmt_report_draft *draft)
{
	struct vmt_module module;

	if (!draft->go_owners || !vmt_go_sites_module(draft->go_owners, &module))
		return 0;
	return vmt_report_coverage_add(draft,
				       "Go's runtime in %.*s was not read: only one that is there "
				       "when the recording begins is. "
				       "What it counts, and what its heap is used for, is unknown",
				       (int)module.path_bytes, module.path);
}

int
vmt_report_go_fill(struct vmt_report_draft *draft)
{
	const struct vmt_go *go = &vmt_trace_head(draft->trace)->go;
	struct vmt_report *report = &draft->report;
	int status;

	if (!go->version[0])
		return add_unread(draft);
	report->go.version = keep_text(draft, go->version);
	if (!report->go.version)
		return -ENOMEM;
	report->go.cgo = (go->flags & VMT_GO_CGO) != 0;
	report->go.stripped = (go->flags & VMT_GO_STRIPPED) != 0;
	status = fill_sites(draft, go);
	if (!status)
		status = fill_figures(draft, go);
	fill_shares(draft);
	if (!status)
		status = add_blind_spots(draft, go);
	if (!status)
		status = vmt_report_go_heap_fill(draft);
	return status ? status : vmt_report_go_profile_fill(draft);
}

void
vmt_report_go_free(struct vmt_report *report)
{
	vmt_report_go_heap_free(report);
	vmt_report_go_profile_free(report);
	free(report->go.points);
	free(report->coverage.go_sites);
}
