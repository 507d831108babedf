/* What was requested and freed between two moments that no snapshot tells apart. */
#include "format/advice.h"
#include "tools/model/report/report_draft.h"

/* The first tick after a time. */
static uint64_t
tick_after(const struct vmt_trace *trace, int64_t time_ns)
{
	uint64_t low = vmt_trace_head(trace)->clock_start.ticks;
	uint64_t high = UINT64_MAX;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (vmt_trace_time_ns(trace, middle) > time_ns)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Events that were replayed are in no other window: what begins among them comes too late. A window
 * that begins anew forgets the one before. */
void
vmt_report_window_set(struct vmt_report_draft *draft, struct vmt_window *window,
		      const struct vmt_window *wanted)
{
	bool has_figures = window->has_begun || window->has_figures;

	if (window->is_wanted == wanted->is_wanted && window->from == wanted->from &&
	    window->until == wanted->until)
		return;
	draft->is_stale |=
	    wanted->is_wanted ? wanted->from + 1 < draft->replayed_until : has_figures;
	*window = *wanted;
	window->has_figures = has_figures;
	draft->window_changes = 0;
}

/* From the last snapshot before what was asked for, up to that. */
void
vmt_report_window_plan(struct vmt_report_draft *draft)
{
	bool has_time = draft->at == VMT_AT_TIME;

	struct vmt_window since;

	if (draft->last_look == 0)
		return;
	since = (struct vmt_window){
	    .is_wanted = true,
	    .from = draft->last_look,
	    .until = has_time ? tick_after(draft->trace, draft->at_time_ns) - 1 : UINT64_MAX,
	    .requested = VMT_FIGURE_SINCE_RESERVED,
	    .released = VMT_FIGURE_SINCE_RELEASED,
	};
	vmt_report_window_set(draft, &draft->since, &since);
}

/* What advice took out of RAM is no address space, and a figure of its own. */
static void
begin(struct vmt_report_draft *draft, struct vmt_window *window)
{
	window->has_begun = true;
	vmt_sites_begin_part(draft->replay->sites, window->requested, VMT_FIGURE_TOTAL_RESERVED);
	if (window->released == VMT_FIGURES)
		return;
	vmt_sites_begin_part(draft->replay->sites, window->released, VMT_FIGURE_RELEASED);
	vmt_sites_begin_part(draft->replay->sites, VMT_FIGURE_SINCE_CAME_BACK,
			     VMT_FIGURE_CAME_BACK);
}

static void
end(struct vmt_report_draft *draft, struct vmt_window *window)
{
	window->has_ended = true;
	vmt_sites_end_part(draft->replay->sites, window->requested, VMT_FIGURE_TOTAL_RESERVED);
	if (window->released == VMT_FIGURES)
		return;
	vmt_sites_end_part(draft->replay->sites, window->released, VMT_FIGURE_RELEASED);
	vmt_sites_end_part(draft->replay->sites, VMT_FIGURE_SINCE_CAME_BACK, VMT_FIGURE_CAME_BACK);
}

void
vmt_report_window_change(struct vmt_report_draft *draft, uint64_t time)
{
	struct vmt_window *const windows[] = {&draft->since, &draft->missed};

	draft->window_changes = UINT64_MAX;
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		struct vmt_window *window = windows[i];
		uint64_t next;

		if (!window->is_wanted || window->has_ended)
			continue;
		if (!window->has_begun && time > window->from)
			begin(draft, window);
		if (window->has_begun && time > window->until)
			end(draft, window);
		next = window->has_begun ? window->until : window->from;
		if (!window->has_ended && next < draft->window_changes)
			draft->window_changes = next;
	}
}

/* No event comes any more. */
void
vmt_report_window_close(struct vmt_report_draft *draft)
{
	struct vmt_window *const windows[] = {&draft->since, &draft->missed};

	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		if (windows[i]->is_wanted && !windows[i]->has_begun)
			begin(draft, windows[i]);
		if (windows[i]->is_wanted && !windows[i]->has_ended)
			end(draft, windows[i]);
	}
}

static bool
is_mapping(uint8_t kind)
{
	return kind == VMT_EVENT_MMAP || kind == VMT_EVENT_MREMAP || kind == VMT_EVENT_BRK ||
	       kind == VMT_EVENT_SHMAT;
}

static void
add(uint64_t *requested, uint64_t *released, const struct vmt_site_entry *entry)
{
	*requested += vmt_sites_figure(entry, VMT_FIGURE_SINCE_RESERVED);
	*released += vmt_sites_figure(entry, VMT_FIGURE_SINCE_RELEASED);
}

static void
add_given_back(struct vmt_report *report, const struct vmt_site_entry *entry)
{
	uint64_t bytes = vmt_sites_figure(entry, VMT_FIGURE_SINCE_CAME_BACK);

	/* Below zero: a call from before was taken back, as one that failed. */
	if (bytes > INT64_MAX)
		return;
	report->since.given_back_bytes += bytes;
	if (entry->key.kind == VMT_EVENT_MADVISE && entry->key.advice == VMT_ADVICE_FREE)
		report->since.given_back_later_bytes += bytes;
}

void
vmt_report_window_fill(struct vmt_report_draft *draft)
{
	struct vmt_sites *sites = draft->replay->sites;
	struct vmt_report *report = &draft->report;

	report->since.is_known = draft->since.is_wanted;
	report->since.is_asked = draft->at == VMT_AT_TIME;
	if (!report->since.is_known)
		return;
	report->since.from_ns = vmt_trace_time_ns(draft->trace, draft->since.from);
	report->since.until_ns =
	    report->since.is_asked ? draft->at_time_ns : vmt_report_end_ns(report);
	if (report->since.until_ns > vmt_report_end_ns(report))
		report->since.until_ns = vmt_report_end_ns(report);
	for (uint32_t i = 0; i < vmt_sites_count(sites); i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(sites, i);

		if (entry->key.kind < VMT_EVENT_FIRST_OF_MAP)
			add(&report->since.blocks_requested_bytes,
			    &report->since.blocks_freed_bytes, entry);
		else if (is_mapping(entry->key.kind))
			add(&report->since.mapped_bytes, &report->since.unmapped_bytes, entry);
		add_given_back(report, entry);
		report->since.estimate |=
		    entry->estimated && entry->estimate[VMT_FIGURE_SINCE_RESERVED] +
						entry->estimate[VMT_FIGURE_SINCE_RELEASED] !=
					    0;
	}
}
