#include "tools/model/diff/diff_touch.h"

#include "tools/model/diff/diff_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
has_touchers(const struct vmt_report *report)
{
	return report->committer_count > 0;
}

static int
take_committers(struct vmt_report *copy, const struct vmt_report *report)
{
	*copy = *report;
	copy->site_count = 0;
	copy->sites = calloc(report->committer_count + 1, sizeof(*copy->sites));
	if (!copy->sites)
		return -ENOMEM;
	for (size_t i = 0; i < report->committer_count; i++) {
		const struct vmt_committer *row = &report->committers[i];

		if (strcmp(row->evidence, VMT_EVIDENCE_SAMPLES) != 0 || row->committed_bytes == 0)
			continue;
		copy->sites[copy->site_count++] = (struct vmt_site){
		    .kind = "touch",
		    .count = row->samples,
		    .reserved_bytes = row->committed_bytes,
		    .committed_bytes = row->committed_bytes,
		    .estimate = row->estimate,
		    .stack = row->stack,
		};
	}
	return 0;
}

int
vmt_diff_touch_build(struct vmt_diff *diff)
{
	struct vmt_report *reports;

	if (!has_touchers(diff->a) || !has_touchers(diff->b))
		return 0;
	diff->touch = calloc(1, sizeof(*diff->touch));
	diff->touch_reports = reports = calloc(2, sizeof(*reports));
	if (!diff->touch || !reports || take_committers(&reports[0], diff->a) ||
	    take_committers(&reports[1], diff->b))
		return -ENOMEM;
	diff->touch->a = &reports[0];
	diff->touch->b = &reports[1];
	if (vmt_diff_match_sites(diff->touch))
		return -ENOMEM;
	vmt_diff_sort_sites(diff->touch->sites, diff->touch->site_count);
	return 0;
}
