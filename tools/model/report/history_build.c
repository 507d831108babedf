#include "tools/model/report/history_build.h"

#include "tools/model/report/history_draft.h"
#include "tools/model/report/history_marks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORK_MOST UINT64_C(60000000) /* a few seconds of looks */
#define SITES_MOST ((size_t)4 << 20) /* of all chosen snapshots together */
#define LISTED 4u		     /* a mapping or a run costs as much as so many blocks */

enum { RESERVED, COMMITTED };

int
vmt_history_build_plan(struct vmt_report_draft *draft, const struct vmt_trace_chunk *own)
{
	struct vmt_history *history = &draft->report.history;
	struct vmt_history_draft *build;

	if (!draft->options->history || !own)
		return 0;
	build = calloc(1, sizeof(*build));
	draft->history = build;
	draft->marks = vmt_history_marks_new(draft->trace);
	if (!build || !draft->marks || vmt_history_plan(build, draft->trace, own))
		return -ENOMEM;
	history->points = calloc(build->planned_count + 1, sizeof(*history->points));
	history->snapshots = calloc(build->chosen_count + 1, sizeof(*history->snapshots));
	build->rows = calloc(build->chosen_count + 1, sizeof(*build->rows));
	return history->points && history->snapshots && build->rows ? 0 : -ENOMEM;
}

static void
rows_free(struct vmt_history_rows *rows)
{
	free(rows->items);
	free(rows->estimates);
	free(rows->late);
	*rows = (struct vmt_history_rows){0};
}

void
vmt_history_build_free(struct vmt_report_draft *draft)
{
	struct vmt_history_draft *build = draft->history;

	draft->history = NULL;
	if (!build)
		return;
	for (size_t i = 0; build->rows && i < build->chosen_count; i++)
		rows_free(&build->rows[i]);
	vmt_replay_kept_free(&build->kept);
	free(build->rows);
	free(build->planned);
	free(build);
}

void
vmt_history_free(struct vmt_history *history)
{
	for (size_t i = 0; i < history->snapshot_count; i++) {
		free(history->snapshots[i].sites);
		free(history->snapshots[i].ranges);
		free(history->snapshots[i].fill);
	}
	free(history->points);
	free(history->snapshots);
	free(history->marks);
	*history = (struct vmt_history){0};
}

static const struct vmt_history_planned *
find_planned(struct vmt_history_draft *build, const struct vmt_trace_chunk *chunk)
{
	for (size_t i = build->next; i < build->planned_count; i++)
		if (build->planned[i].chunk == chunk) {
			build->next = i;
			return &build->planned[i];
		}
	return NULL;
}

static uint64_t
cost(const struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot)
{
	return LISTED * ((uint64_t)snapshot->head.mappings + snapshot->head.runs) +
	       vmt_blocks_count(draft->replay->blocks) + vmt_sites_count(draft->replay->sites);
}

/* Each has its part of the work, and what earlier ones left of theirs. */
bool
vmt_history_build_wants(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
			const struct vmt_snapshot *snapshot)
{
	struct vmt_history_draft *build = draft->history;
	const struct vmt_history_planned *planned = build ? find_planned(build, chunk) : NULL;
	double allowed;

	if (!planned)
		return false;
	allowed = (double)WORK_MOST * (double)(build->next + 1) / (double)build->planned_count;
	if (planned->is_chosen)
		return true;
	if ((double)(build->work + cost(draft, snapshot)) > allowed)
		return false;
	build->work += cost(draft, snapshot);
	return true;
}

/* What of it blocks do not own. */
static double
unowned(const struct vmt_region_part *part, enum vmt_amount amount)
{
	double bytes = (double)part->rest[amount] - part->estimate[amount];

	return bytes > 0 ? bytes : 0;
}

/* The regions of a join, while they are there. */
static int
see(void *context, const struct vmt_attribution *attribution, const struct vmt_regions *regions,
    const struct vmt_resident *resident)
{
	struct vmt_report_draft *draft = context;
	struct vmt_history_draft *build = draft->history;
	const struct vmt_history_place place = {
	    .regions = regions,
	    .resident = resident,
	    .coarse = build->is_coarse,
	    .cells = VMT_HISTORY_CELLS_MOST / build->chosen_count,
	    .page_bytes = draft->replay->page_bytes,
	    .sites = build->is_restored ? build->kept.sites.count : UINT32_MAX,
	};

	memset(build->sited, 0, sizeof(build->sited));
	for (size_t i = 0; i < attribution->parts.count; i++) {
		const struct vmt_region_part *part = &attribution->parts.items[i];

		if (part->site == VMT_SITE_NONE)
			continue;
		build->sited[RESERVED][part->class] += unowned(part, VMT_AMOUNT_RESERVED);
		build->sited[COMMITTED][part->class] += unowned(part, VMT_AMOUNT_COMMITTED);
	}
	return build->snapshot ? vmt_history_map_cut(build->snapshot, &place) : 0;
}

static void
begin(struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot)
{
	struct vmt_history *history = &draft->report.history;
	struct vmt_history_draft *build = draft->history;
	const struct vmt_history_planned *planned = &build->planned[build->next];

	build->is_coarse = snapshot->coarse;
	build->snapshot =
	    planned->is_chosen ? &history->snapshots[history->snapshot_count++] : NULL;
	if (build->snapshot)
		*build->snapshot = (struct vmt_history_snapshot){.point = history->point_count,
								 .is_peak = planned->is_peak,
								 .is_end = planned->is_end,
								 .is_reports = planned->is_reports};
	history->points[history->point_count] =
	    (struct vmt_history_point){.time_ns = planned->time_ns, .index = planned->index};
}

static struct vmt_history_amounts
amounts_of(const uint64_t bytes[VMT_AMOUNTS])
{
	return (struct vmt_history_amounts){
	    .reserved_bytes = bytes[VMT_AMOUNT_RESERVED],
	    .accessible_bytes = bytes[VMT_AMOUNT_ACCESSIBLE],
	    .committed_bytes = bytes[VMT_AMOUNT_COMMITTED],
	    .swapped_bytes = bytes[VMT_AMOUNT_SWAPPED],
	    .never_touched_bytes = bytes[VMT_AMOUNT_UNTOUCHED],
	    .hugetlb_bytes = bytes[VMT_AMOUNT_HUGETLB],
	};
}

static uint64_t
rest_of(uint64_t whole, double sited)
{
	return sited < (double)whole ? whole - (uint64_t)sited : 0;
}

/* What no site has of live blocks is known once the sites are rows. */
static void
take_rest(struct vmt_history_draft *build, const struct vmt_attribution *attribution)
{
	struct vmt_history_snapshot *snapshot = build->snapshot;

	for (int i = 0; snapshot && i < VMT_CLASSES; i++) {
		const uint64_t *bytes = attribution->classes[i].bytes;

		if (i == VMT_CLASS_MALLOC_LIVE)
			continue;
		snapshot->rest_reserved_bytes[i] =
		    rest_of(bytes[VMT_AMOUNT_RESERVED], build->sited[RESERVED][i]);
		snapshot->rest_committed_bytes[i] =
		    rest_of(bytes[VMT_AMOUNT_COMMITTED], build->sited[COMMITTED][i]);
	}
}

static void
take_classes(struct vmt_report_draft *draft, const struct vmt_attribution *attribution)
{
	struct vmt_history *history = &draft->report.history;
	struct vmt_history_point *point = &history->points[history->point_count++];

	point->rss_bytes = attribution->total.bytes[VMT_AMOUNT_COMMITTED];
	point->virtual_bytes = attribution->total.bytes[VMT_AMOUNT_RESERVED];
	point->swap_bytes = attribution->total.bytes[VMT_AMOUNT_SWAPPED];
	for (int i = 0; i < VMT_CLASSES; i++)
		point->classes[i] = amounts_of(attribution->classes[i].bytes);
	take_rest(draft->history, attribution);
}

/* Room for one more, or NULL. */
static void *
grow(void *items, size_t count, size_t *room, size_t bytes)
{
	size_t more = *room ? *room * 2 : 256;

	if (count < *room)
		return items;
	items = reallocarray(items, more, bytes);
	if (items)
		*room = more;
	return items;
}

static bool
has_figures(const struct vmt_site_entry *entry)
{
	for (unsigned int i = 0; i < VMT_HISTORY_FIGURES; i++)
		if (entry->exact[VMT_FIGURE_LIVE_COUNT + i] ||
		    entry->estimate[VMT_FIGURE_LIVE_COUNT + i] != 0)
			return true;
	return false;
}

static int
add_estimate(struct vmt_history_rows *rows, struct vmt_history_row *row,
	     const struct vmt_site_entry *entry)
{
	void *larger;

	if (!entry->estimated)
		return 0;
	larger = grow(rows->estimates, rows->estimate_count, &rows->estimate_room,
		      sizeof(*rows->estimates));
	if (!larger)
		return -ENOMEM;
	rows->estimates = larger;
	memcpy(rows->estimates[rows->estimate_count].figures,
	       &entry->estimate[VMT_FIGURE_LIVE_COUNT], sizeof(*rows->estimates));
	row->estimate = (uint32_t)++rows->estimate_count;
	return 0;
}

/* The replay will have made it by another number, if at all. */
static int
add_late(struct vmt_history_rows *rows, const struct vmt_site_entry *entry)
{
	void *larger = grow(rows->late, rows->late_count, &rows->late_room, sizeof(*rows->late));

	if (!larger)
		return -ENOMEM;
	rows->late = larger;
	rows->late[rows->late_count++] =
	    (struct vmt_history_late){.row = rows->count, .key = entry->key};
	return 0;
}

static int
add_row(struct vmt_history_rows *rows, uint32_t site, const struct vmt_site_entry *entry)
{
	struct vmt_history_row *row;
	void *larger = grow(rows->items, rows->count, &rows->room, sizeof(*rows->items));

	if (!larger)
		return -ENOMEM;
	rows->items = larger;
	row = &rows->items[rows->count];
	*row = (struct vmt_history_row){.site = site};
	memcpy(row->exact, &entry->exact[VMT_FIGURE_LIVE_COUNT], sizeof(row->exact));
	if (add_estimate(rows, row, entry))
		return -ENOMEM;
	rows->count++;
	return 0;
}

static int
take_sites(struct vmt_report_draft *draft)
{
	struct vmt_history *history = &draft->report.history;
	struct vmt_history_draft *build = draft->history;
	struct vmt_history_rows *rows = &build->rows[history->snapshot_count - 1];
	struct vmt_sites *sites = draft->replay->sites;
	int status = 0;

	for (uint32_t i = 0; i < vmt_sites_count(sites) && !status; i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(sites, i);

		if (!has_figures(entry))
			continue;
		if (rows->count >= SITES_MOST / build->chosen_count) {
			rows_free(rows);
			rows->is_dropped = true;
			return 0;
		}
		if (i >= build->kept.sites.count)
			status = add_late(rows, entry);
		if (!status)
			status = add_row(rows, i, entry);
	}
	return status;
}

int
vmt_history_build_look(struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot,
		       struct vmt_attribution_options *options)
{
	struct vmt_history_draft *build = draft->history;
	struct vmt_attribution attribution = {.files = NULL};
	int status = vmt_replay_keep(draft->replay, snapshot->head.time, &build->kept);

	if (status)
		return status;
	build->is_restored = true;
	options->blocks_unseen &= draft->replay->thin_level == 0;
	options->sums_alone = true;
	options->see = see;
	options->see_context = draft;
	begin(draft, snapshot);
	status = vmt_attribution_join(&attribution, snapshot, draft->replay, options);
	if (!status) {
		take_classes(draft, &attribution);
		if (build->snapshot)
			status = take_sites(draft);
	}
	vmt_attribution_free(&attribution);
	vmt_replay_restore(draft->replay, &build->kept);
	return status;
}

void
vmt_history_build_watch(struct vmt_report_draft *draft, struct vmt_attribution_options *options)
{
	struct vmt_history_draft *build = draft->history;

	if (!build)
		return;
	while (build->next < build->planned_count && !build->planned[build->next].is_reports)
		build->next++;
	assert(build->next < build->planned_count);
	build->is_restored = false;
	options->see = see;
	options->see_context = draft;
	begin(draft, &draft->snapshot);
}

void
vmt_history_build_own(struct vmt_report_draft *draft)
{
	if (draft->history)
		take_classes(draft, &draft->attribution);
}
