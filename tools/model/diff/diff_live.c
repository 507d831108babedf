#include "tools/model/diff/diff_live.h"

#include "tools/model/diff/diff_match.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* What was sampled before sampling was switched off, or changed, is no estimate of all. */
static bool
has_lines(const struct vmt_report *report)
{
	return report->go.version && !report->go.unprofiled && !report->go.is_unscaled &&
	       report->go.profile_rate_bytes != 0;
}

/* Callers are left out: through which of them most came may change from run to run. */
static int
take_lines(struct vmt_report *copy, const struct vmt_report *report)
{
	*copy = *report;
	copy->site_count = 0;
	copy->sites = calloc(report->go.live_count + 1, sizeof(*copy->sites));
	if (!copy->sites)
		return -ENOMEM;
	for (size_t i = 0; i < report->go.live_count; i++) {
		const struct vmt_go_live *row = &report->go.live[i];

		if (row->stack.count == 0)
			continue;
		copy->sites[copy->site_count++] = (struct vmt_site){
		    .kind = "live",
		    .count = row->objects,
		    .reserved_bytes = row->bytes,
		    .committed_bytes = row->bytes,
		    .estimate = report->go.profile_rate_bytes > 1,
		    .stack = {.frames = row->stack.frames, .count = 1},
		};
	}
	return 0;
}

/* As diff.h has it for malloc's blocks: Go samples in the same way. */
static void
set_errors(struct vmt_diff *live)
{
	double rate_a = (double)live->a->go.profile_rate_bytes;
	double rate_b = (double)live->b->go.profile_rate_bytes;

	for (size_t i = 0; i < live->site_count; i++) {
		struct vmt_diff_site *row = &live->sites[i];

		row->error_bytes =
		    row->estimate ? (uint64_t)(2 * sqrt(rate_a * (double)row->committed_bytes.a +
							rate_b * (double)row->committed_bytes.b))
				  : 0;
	}
}

/* Of a report of a heap that was read to its end. */
static bool
has_large(const struct vmt_report *report)
{
	return report->go.version && !report->go.uncut && report->go.has_large &&
	       report->go.profile_rate_bytes != 0;
}

static int
take_large(struct vmt_report *copy, const struct vmt_report *report)
{
	*copy = *report;
	copy->site_count = 0;
	copy->sites = calloc(report->go.large_count + 1, sizeof(*copy->sites));
	if (!copy->sites)
		return -ENOMEM;
	for (size_t i = 0; i < report->go.large_count; i++) {
		const struct vmt_go_large *row = &report->go.large[i];

		if (row->stack.count == 0)
			continue;
		copy->sites[copy->site_count++] = (struct vmt_site){
		    .kind = "large",
		    .count = row->objects,
		    .reserved_bytes = row->reserved_bytes,
		    .committed_bytes = row->committed_bytes,
		    .estimate = report->go.profile_rate_bytes > 1,
		    .stack = {.frames = row->stack.frames, .count = 1},
		};
	}
	return 0;
}

/* The part of objects of this size that Go samples: runtime/pprof/protomem.go, scaleHeapSample. */
static double
sampled_part(double each_bytes, uint64_t rate_bytes)
{
	return rate_bytes <= 1 ? 1 : -expm1(-each_bytes / (double)rate_bytes);
}

/* What chance, and another rate, make of a line whose objects, of one size, are as many in both. */
static uint64_t
large_error(const struct vmt_diff_site *row, uint64_t rate_a, uint64_t rate_b)
{
	bool of_a = row->reserved_bytes.a > row->reserved_bytes.b;
	double bytes = (double)(of_a ? row->reserved_bytes.a : row->reserved_bytes.b);
	double objects = (double)(of_a ? row->count.a : row->count.b);
	double each = objects > 0 ? bytes / objects : 0;
	double part_a = sampled_part(each, rate_a);
	double part_b = sampled_part(each, rate_b);
	double all = each > 0 ? bytes / (of_a ? part_a : part_b) : 0;

	return (uint64_t)fmin(
	    0x1p62, 2 * sqrt(all * each * (part_a * (1 - part_a) + part_b * (1 - part_b))) +
			all * fabs(part_a - part_b));
}

static void
set_large_errors(struct vmt_diff *large)
{
	for (size_t i = 0; i < large->site_count; i++)
		large->sites[i].error_bytes =
		    large_error(&large->sites[i], large->a->go.profile_rate_bytes,
				large->b->go.profile_rate_bytes);
}

/* The rows of both, compared as call sites are. */
static int
compare(const struct vmt_diff *diff, struct vmt_diff **lines, struct vmt_report **reports,
	int (*take)(struct vmt_report *copy, const struct vmt_report *report))
{
	*lines = calloc(1, sizeof(**lines));
	*reports = calloc(2, sizeof(**reports));
	if (!*lines || !*reports || take(&(*reports)[0], diff->a) || take(&(*reports)[1], diff->b))
		return -ENOMEM;
	(*lines)->a = &(*reports)[0];
	(*lines)->b = &(*reports)[1];
	if (vmt_diff_match_sites(*lines))
		return -ENOMEM;
	vmt_diff_sort_sites((*lines)->sites, (*lines)->site_count);
	return 0;
}

int
vmt_diff_live_build(struct vmt_diff *diff)
{
	if (has_lines(diff->a) && has_lines(diff->b)) {
		if (compare(diff, &diff->live, &diff->live_reports, take_lines))
			return -ENOMEM;
		set_errors(diff->live);
	}
	if (has_large(diff->a) && has_large(diff->b)) {
		if (compare(diff, &diff->large, &diff->large_reports, take_large))
			return -ENOMEM;
		set_large_errors(diff->large);
	}
	return 0;
}
