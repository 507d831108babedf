#include "tools/model/report/history_build.h"
#include "tools/model/report/history_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What one row of the report has at a snapshot, of all the replay's sites that are it. */
struct sum {
	uint64_t exact[VMT_HISTORY_FIGURES];
	double estimate[VMT_HISTORY_FIGURES];
	bool is_used;
};

static void
add_row(struct sum *sum, const struct vmt_history_rows *rows, const struct vmt_history_row *row)
{
	for (unsigned int i = 0; i < VMT_HISTORY_FIGURES; i++) {
		sum->exact[i] += row->exact[i];
		if (row->estimate)
			sum->estimate[i] += rows->estimates[row->estimate - 1].figures[i];
	}
	sum->is_used = true;
}

/* SIZE_MAX: it is no site of the report. */
static size_t
report_row(const struct vmt_report_draft *draft, uint32_t site)
{
	if (site == VMT_SITE_NONE)
		return SIZE_MAX;
	return draft->site_rows[vmt_sites_merged_into(draft->replay->sites, site)];
}

static void
add_up(const struct vmt_report_draft *draft, struct vmt_history_snapshot *snapshot,
       const struct vmt_history_rows *rows, struct sum *sums)
{
	size_t late = 0;

	for (size_t i = 0; i < rows->count; i++) {
		const struct vmt_history_row *row = &rows->items[i];
		uint32_t site = row->site;
		size_t to;

		if (late < rows->late_count && rows->late[late].row == i)
			site = vmt_sites_find(draft->replay->sites, rows->late[late++].key);
		to = report_row(draft, site);
		if (to != SIZE_MAX)
			add_row(&sums[to], rows, row);
		else if (site == VMT_SITE_NONE) /* a call that never returned */
			snapshot->rest_committed_bytes[VMT_CLASS_MMAP] +=
			    row->exact[VMT_FIGURE_COMMITTED - VMT_FIGURE_LIVE_COUNT];
	}
}

static uint64_t
figure(const struct sum *sum, enum vmt_figure figure)
{
	unsigned int i = (unsigned int)figure - VMT_FIGURE_LIVE_COUNT;

	return vmt_sites_round(sum->exact[i], sum->estimate[i]);
}

static struct vmt_history_site
site_of_sum(size_t site, const struct sum *sum)
{
	return (struct vmt_history_site){
	    .site = (uint32_t)site,
	    .live_count = figure(sum, VMT_FIGURE_LIVE_COUNT),
	    .amounts =
		{
		    .reserved_bytes = figure(sum, VMT_FIGURE_RESERVED),
		    .accessible_bytes = figure(sum, VMT_FIGURE_ACCESSIBLE),
		    .committed_bytes = figure(sum, VMT_FIGURE_COMMITTED),
		    .swapped_bytes = figure(sum, VMT_FIGURE_SWAPPED),
		    .never_touched_bytes = figure(sum, VMT_FIGURE_UNTOUCHED),
		    .hugetlb_bytes = figure(sum, VMT_FIGURE_HUGETLB),
		},
	};
}

static struct vmt_history_site
site_of_report(size_t site, const struct vmt_site *row)
{
	return (struct vmt_history_site){
	    .site = (uint32_t)site,
	    .live_count = row->live_count,
	    .amounts =
		{
		    .reserved_bytes = row->reserved_bytes,
		    .accessible_bytes = row->accessible_bytes,
		    .committed_bytes = row->committed_bytes,
		    .swapped_bytes = row->swapped_bytes,
		    .never_touched_bytes = row->never_touched_bytes,
		    .hugetlb_bytes = row->hugetlb_bytes,
		},
	};
}

static bool
has_anything(const struct vmt_history_site *site)
{
	return site->live_count || site->amounts.reserved_bytes || site->amounts.committed_bytes ||
	       site->amounts.swapped_bytes || site->amounts.hugetlb_bytes;
}

/* Sums of the report's sites; NULL: the report's own snapshot. */
static int
store(const struct vmt_report *report, struct vmt_history_snapshot *snapshot,
      const struct sum *sums)
{
	size_t count = 0;

	for (size_t i = 0; i < report->site_count; i++)
		count += !sums || sums[i].is_used;
	snapshot->sites = calloc(count + 1, sizeof(*snapshot->sites));
	if (!snapshot->sites)
		return -ENOMEM;
	for (size_t i = 0; i < report->site_count; i++) {
		struct vmt_history_site site =
		    sums ? site_of_sum(i, &sums[i]) : site_of_report(i, &report->sites[i]);

		if ((!sums || sums[i].is_used) && has_anything(&site))
			snapshot->sites[snapshot->site_count++] = site;
	}
	snapshot->has_sites = true;
	return 0;
}

/* Of live blocks, what no site has: none but by rounding, and where blocks lie over each other. */
static void
settle_rest(struct vmt_history_snapshot *snapshot, uint64_t rss_bytes)
{
	uint64_t known = 0;

	for (size_t i = 0; i < snapshot->site_count; i++)
		known += snapshot->sites[i].amounts.committed_bytes;
	for (int i = 0; i < VMT_CLASSES; i++)
		known += snapshot->rest_committed_bytes[i];
	if (rss_bytes > known)
		snapshot->rest_committed_bytes[VMT_CLASS_MALLOC_LIVE] += rss_bytes - known;
}

static void
name_ranges(const struct vmt_report_draft *draft, struct vmt_history_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->range_count; i++) {
		size_t row = report_row(draft, snapshot->ranges[i].site);

		snapshot->ranges[i].site = row == SIZE_MAX ? UINT32_MAX : (uint32_t)row;
	}
}

static int
fill_snapshot(struct vmt_report_draft *draft, size_t i, struct sum *sums)
{
	struct vmt_history *history = &draft->report.history;
	struct vmt_history_snapshot *snapshot = &history->snapshots[i];
	int status = 0;

	name_ranges(draft, snapshot);
	if (snapshot->is_reports) {
		history->reports = i;
		status = store(&draft->report, snapshot, NULL);
	} else if (!draft->history->rows[i].is_dropped) {
		memset(sums, 0, draft->report.site_count * sizeof(*sums));
		add_up(draft, snapshot, &draft->history->rows[i], sums);
		status = store(&draft->report, snapshot, sums);
	}
	if (!status && snapshot->has_sites)
		settle_rest(snapshot, history->points[snapshot->point].rss_bytes);
	return status;
}

int
vmt_history_build_fill(struct vmt_report_draft *draft)
{
	struct vmt_history *history = &draft->report.history;
	struct sum *sums;
	int status = 0;

	if (!draft->history)
		return 0;
	sums = calloc(draft->report.site_count + 1, sizeof(*sums));
	if (!sums)
		return -ENOMEM;
	for (size_t i = 0; i < history->snapshot_count && !status; i++)
		status = fill_snapshot(draft, i, sums);
	free(sums);
	history->is_built = !status;
	return status;
}
