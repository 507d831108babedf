#include "tools/model/diff/diff_live.h"

#include "tools/model/diff/diff_match.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* What was sampled before sampling was switched off is no estimate of all. */
static bool
has_lines(const struct vmt_report *report)
{
	return report->go.version && !report->go.unprofiled && report->go.profile_rate_bytes != 0;
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

int
vmt_diff_live_build(struct vmt_diff *diff)
{
	struct vmt_report *reports;

	if (!has_lines(diff->a) || !has_lines(diff->b))
		return 0;
	diff->live = calloc(1, sizeof(*diff->live));
	diff->live_reports = reports = calloc(2, sizeof(*reports));
	if (!diff->live || !reports || take_lines(&reports[0], diff->a) ||
	    take_lines(&reports[1], diff->b))
		return -ENOMEM;
	diff->live->a = &reports[0];
	diff->live->b = &reports[1];
	if (vmt_diff_match_sites(diff->live))
		return -ENOMEM;
	vmt_diff_sort_sites(diff->live->sites, diff->live->site_count);
	set_errors(diff->live);
	return 0;
}
