#include "tools/model/replay/replay_touch.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/touch_heads.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is too little to be a blind spot: sampling that begins so late, and so few faults or bytes.
 */
#define LATE_NS 1000000
#define FAULTS_WORTH_NAMING 1024u
#define PART_WORTH_NAMING 20u /* of RSS */
#define MIB (UINT64_C(1) << 20)

const uint64_t *
vmt_report_touch_stack(void *trace, uint32_t id, uint32_t *frames)
{
	return vmt_touch_stacks_get(vmt_trace_touch_stacks(trace), id, frames);
}

/* A page counts as its toucher's from when it was touched; what the report's snapshot shows is over
 * by then for later ones. */
int
vmt_report_touch_take(struct vmt_report_draft *draft, const struct vmt_record_touch *touch)
{
	struct vmt_touch_sample sample = touch->sample;

	if (draft->joined || (draft->chosen && sample.time > draft->snapshot.head.time))
		return 0;
	sample.stack =
	    vmt_touch_stacks_id(vmt_trace_touch_stacks(draft->trace), touch->sample.stack);
	return vmt_replay_touch_apply(draft->replay, &sample, touch->period);
}

/* Whether the pages of a mapping are another process's too after a fork, until they are written. */
static bool
is_private_memory(const struct vmt_mapping *mapping)
{
	return !mapping->shared && !mapping->hugetlb && mapping->inode == 0;
}

/* In a fork child, memory from before its trace began. */
static bool
is_inherited(const struct vmt_report_draft *draft, uint64_t address)
{
	const struct vmt_extent *extent = vmt_space_next(draft->replay->space, address);

	return draft->replay->forked && extent && extent->start <= address &&
	       (extent->kind == VMT_EXTENT_PRESENT || extent->kind == VMT_EXTENT_PRESENT_HEAP);
}

/* A page that is in none of the runs is not there. */
static bool
is_of_page_tables(const struct vmt_snapshot *snapshot)
{
	return snapshot->head.source == VMT_RESIDENCY_PAGEMAP_SCAN ||
	       snapshot->head.source == VMT_RESIDENCY_PAGEMAP;
}

static int
note_seen(struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot)
{
	if (draft->seen_count == draft->seen_room) {
		size_t room = draft->seen_room ? draft->seen_room * 2 : 64;
		struct vmt_seen_snapshot *seen = reallocarray(draft->seen, room, sizeof(*seen));

		if (!seen)
			return -ENOMEM;
		draft->seen = seen;
		draft->seen_room = room;
	}
	draft->seen[draft->seen_count++] =
	    (struct vmt_seen_snapshot){snapshot->head.index, snapshot->head.time};
	return 0;
}

int
vmt_report_touch_see(struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot)
{
	const struct vmt_resident resident = {.runs = snapshot->runs, .count = snapshot->head.runs};
	struct vmt_touchers *touchers = draft->replay->touchers;
	int status = 0;

	draft->seen_gap |= snapshot->coarse || !is_of_page_tables(snapshot);
	if (snapshot->coarse)
		return 0;
	if (is_of_page_tables(snapshot))
		vmt_touchers_find_gone(touchers, &resident);
	status = note_seen(draft, snapshot);
	if (!status)
		status = vmt_touchers_begin_seen(touchers, (uint32_t)draft->seen_count);
	for (uint32_t i = 0; i < snapshot->head.mappings && !status; i++) {
		const struct vmt_snapshot_mapping *mapping = &snapshot->mappings[i];
		const struct vmt_run *runs = snapshot->runs + mapping->first_run;

		if (!is_private_memory(&mapping->mapping))
			continue;
		for (uint32_t j = 0; j < mapping->runs && !status; j++)
			if ((runs[j].kind & VMT_RUN_PRESENT) && !(runs[j].kind & VMT_RUN_ZERO))
				status = vmt_touchers_see(touchers, runs[j].start,
							  runs[j].start + runs[j].bytes,
							  is_inherited(draft, runs[j].start));
	}
	return status;
}

/* Faults of threads that had too few of them for a sample, and what chance does. */
static uint64_t
unsampled_faults(const struct vmt_touch_heads *heads)
{
	uint64_t all = heads->minor_faults;

	if (all == VMT_FIGURE_UNKNOWN)
		return VMT_FIGURE_UNKNOWN;
	if (heads->major_faults != VMT_FIGURE_UNKNOWN)
		all += heads->major_faults;
	return all > heads->stood_for ? all - heads->stood_for : 0;
}

void
vmt_report_touch_heads(struct vmt_report_draft *draft)
{
	struct vmt_report *report = &draft->report;
	struct vmt_touch_heads heads;

	vmt_touch_heads_add_up(&heads, draft->trace);
	report->touch.asked =
	    heads.present || (vmt_trace_head(draft->trace)->notes & VMT_NOTE_TOUCH_WANTED);
	report->touch.has_begun = heads.present;
	report->touch.is_refused = (heads.flags & VMT_TOUCH_REFUSED) != 0;
	report->touch.refused_errno = (int)heads.refused;
	if (heads.present)
		report->touch.from_ns = vmt_trace_time_ns(draft->trace, heads.from);
	report->touch.period = heads.period;
	report->touch.least_period = heads.least_period;
	report->touch.most_period = heads.most_period;
	report->touch.is_raised = (heads.flags & VMT_TOUCH_RAISED) != 0;
	report->touch.samples = heads.samples;
	report->touch.stood_for = heads.stood_for;
	report->touch.samples_lost = heads.samples_lost;
	report->touch.samples_skipped = heads.samples_skipped;
	report->touch.pauses = heads.pauses;
	report->touch.minor_faults = heads.minor_faults;
	report->touch.major_faults = heads.major_faults;
	report->touch.unsampled_faults = unsampled_faults(&heads);
	report->touch.kernel_faults = (heads.flags & VMT_TOUCH_KERNEL_FAULTS) != 0;
	report->touch.page_sizes = (heads.flags & VMT_TOUCH_PAGE_SIZES) != 0;
	report->touch.threads_to_come = (heads.flags & VMT_TOUCH_INHERITED) != 0;
	report->touch.major_sampled = (heads.flags & VMT_TOUCH_MAJOR_FAULTS) != 0;
}

static int
add_refused(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;

	return vmt_report_coverage_add(
	    draft,
	    "who touched pages first is not known: the kernel refused to sample page faults (%s). "
	    "It allows it to root, with CAP_PERFMON, or where "
	    "/proc/sys/kernel/perf_event_paranoid is 2 or less; in a container also the seccomp "
	    "profile must allow perf_event_open",
	    report->touch.refused_errno ? strerror(report->touch.refused_errno)
					: "no reason given");
}

static int
add_times(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;
	int status = 0;

	if (report->touch.from_ns > LATE_NS || (draft->replay->forked && report->touch.from_ns > 0))
		status = vmt_report_coverage_add(draft,
						 "page faults were sampled from %" PRId64
						 ".%d ms on: pages touched before that are "
						 "credited to the call that reserved them",
						 report->touch.from_ns / 1000000,
						 (int)(report->touch.from_ns / 100000 % 10));
	if (!status && report->touch.pauses)
		status = vmt_report_coverage_add(
		    draft,
		    "the sampling of page faults paused %" PRIu64
		    " time%s to limit CPU time: pages touched meanwhile are credited to the call "
		    "that reserved them",
		    report->touch.pauses, report->touch.pauses == 1 ? "" : "s");
	if (!status && vmt_touchers_left_out(draft->replay->touchers))
		status = vmt_report_coverage_add(
		    draft, "more pages were touched than a report keeps: those that were touched "
			   "later are credited to the call that reserved them");
	return status;
}

/* What a fault brought is not told by its sample: replay_touch.c. */
static int
add_folios(struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	uint32_t sizes = head->folios_always | head->folios_advised;

	sizes &= (UINT32_C(2) << VMT_TOUCH_FOLIO_MAX_SHIFT) - 1;
	if (sizes >> 10 == 0)
		return 0;
	return vmt_report_coverage_add(
	    draft,
	    "one page fault may bring up to %" PRIu32 " KiB of anonymous memory at once%s (mTHP), "
	    "and its sample tells only a page of it. It counts for the largest size allowed whose "
	    "range had no page yet: for too much where the kernel had only a smaller one",
	    UINT32_C(1) << (31 - __builtin_clz(sizes) - 10),
	    head->folios_always ? "" : ", where advised MADV_HUGEPAGE");
}

static int
add_kinds(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;
	int status = 0;

	if (!report->touch.kernel_faults)
		status = vmt_report_coverage_add(
		    draft,
		    "pages that a system call touched for the program (read, recv into fresh "
		    "memory) have no sample: that needs perf_event_paranoid 1 or less, or "
		    "CAP_PERFMON. They count as touched by nobody");
	if (!status && !report->touch.page_sizes)
		status = vmt_report_coverage_add(
		    draft, "the kernel did not tell the sizes of touched pages (Linux 5.11 and "
			   "later do): a huge page counts as one small page touched");
	if (!status)
		status = add_folios(draft);
	if (!status && !report->touch.threads_to_come)
		status = vmt_report_coverage_add(
		    draft, "page faults of threads that began later were not sampled");
	return status;
}

/* Of anonymous memory: a file's pages come in without a fault of their own. */
static uint64_t
unsampled_bytes(const struct vmt_report_draft *draft)
{
	const struct vmt_committers *committers = &draft->attribution.committers;
	uint64_t bytes = 0;

	for (size_t i = 0; i < committers->count; i++) {
		const struct vmt_committed_cell *cell = &committers->cells[i];

		if (cell->toucher == VMT_SITE_NONE && cell->class != VMT_CLASS_PROGRAM &&
		    cell->class != VMT_CLASS_FILES && cell->class != VMT_CLASS_TRACER)
			bytes += cell->bytes;
	}
	return bytes;
}

/* Traces of versions that did not open the kernel's event for them. */
static int
add_major(struct vmt_report_draft *draft, uint64_t major)
{
	if (major < FAULTS_WORTH_NAMING)
		return 0;
	return vmt_report_coverage_add(
	    draft,
	    "%" PRIu64 " page faults read a file or swap: such faults are not sampled. What came "
	    "in from a file is credited to the call that reserved it, what came back from swap to "
	    "who had touched it before",
	    major);
}

static int
add_unsampled(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;
	uint64_t major =
	    report->touch.major_sampled || report->touch.major_faults == VMT_FIGURE_UNKNOWN
		? 0
		: report->touch.major_faults;
	uint64_t rss = report->snapshot.rss_bytes;
	uint64_t bytes = unsampled_bytes(draft);
	int status = 0;

	if (bytes >= MIB && bytes >= rss / PART_WORTH_NAMING)
		status = vmt_report_coverage_add(
		    draft,
		    "no sampled page fault tells who touched %" PRIu64
		    " MiB of anonymous memory, %d %% of RSS: that is credited to the call that "
		    "reserved it",
		    bytes / MIB, (int)((double)bytes / (double)rss * 100 + .5));
	if (!status)
		status = add_major(draft, major);
	if (status || report->touch.most_period <= 1)
		return status;
	if (report->snapshot.huge_bytes != VMT_FIGURE_UNKNOWN &&
	    report->snapshot.huge_bytes > rss / PART_WORTH_NAMING)
		status = vmt_report_coverage_add(
		    draft,
		    "one page fault in %" PRIu64
		    " was sampled, also of huge pages: code that touched fewer of them may have no "
		    "sample, and what few samples tell is a rough estimate",
		    report->touch.most_period);
	if (!status && report->touch.unsampled_faults != VMT_FIGURE_UNKNOWN &&
	    report->touch.unsampled_faults >= FAULTS_WORTH_NAMING + major)
		status = vmt_report_coverage_add(
		    draft,
		    "of %" PRIu64 " page faults about %" PRIu64
		    " are in no sample: a thread of fewer than %" PRIu64
		    " faults gives none. Their pages are credited to the call that reserved them",
		    report->touch.unsampled_faults + report->touch.stood_for - major,
		    report->touch.unsampled_faults - major, report->touch.most_period);
	return status;
}

int
vmt_report_touch_cover(struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;

	int status;

	if (!report->touch.asked)
		return 0;
	if (!report->touch.has_begun)
		return vmt_report_coverage_add(
		    draft, "no page fault was sampled: the process was over before that could "
			   "begin, or its collector did not find it");
	if (report->touch.is_refused && report->touch.samples == 0)
		return add_refused(draft);
	status = add_times(draft);
	if (!status)
		status = add_kinds(draft);
	return status ? status : add_unsampled(draft);
}
