#include "tools/model/attribute/kernel_rss.h"

#include "base/assert.h"

#include <stdbool.h>

/* statm shows zeros once the address space is gone. */
static bool
is_known(uint64_t bytes)
{
	return bytes != 0 && bytes != VMT_FIGURE_UNKNOWN;
}

static void
take(struct vmt_kernel_rss *rss, uint64_t scanned, uint64_t figure, uint64_t error)
{
	uint64_t distance = scanned > figure ? scanned - figure : figure - scanned;

	if (!is_known(figure))
		return;
	distance = distance > error ? distance - error : 0;
	if (rss->least_bytes == VMT_FIGURE_UNKNOWN) {
		*rss = (struct vmt_kernel_rss){figure, figure, distance};
		return;
	}
	if (figure < rss->least_bytes)
		rss->least_bytes = figure;
	if (figure > rss->most_bytes)
		rss->most_bytes = figure;
	if (distance < rss->gap_bytes)
		rss->gap_bytes = distance;
}

/* Not known where a part is not, or where the sum is none. */
static uint64_t
sum_of_parts(const struct vmt_kernel_figures *kernel)
{
	uint64_t sum;

	if (kernel->anonymous_bytes == VMT_FIGURE_UNKNOWN ||
	    kernel->file_bytes == VMT_FIGURE_UNKNOWN ||
	    kernel->shared_memory_bytes == VMT_FIGURE_UNKNOWN ||
	    __builtin_add_overflow(kernel->anonymous_bytes, kernel->file_bytes, &sum) ||
	    __builtin_add_overflow(sum, kernel->shared_memory_bytes, &sum))
		return VMT_FIGURE_UNKNOWN;
	return sum;
}

struct vmt_kernel_rss
vmt_kernel_rss_compare(const struct vmt_snapshot_head *head, uint64_t scanned_bytes)
{
	const struct vmt_kernel_figures *kernel = &head->kernel;
	struct vmt_kernel_rss rss = {VMT_FIGURE_UNKNOWN, VMT_FIGURE_UNKNOWN, VMT_FIGURE_UNKNOWN};
	bool exact = kernel->proportional_bytes != VMT_FIGURE_UNKNOWN; /* smaps_rollup was read */
	uint64_t error =
	    kernel->rss_error_bytes == VMT_FIGURE_UNKNOWN ? 0 : kernel->rss_error_bytes;

	take(&rss, scanned_bytes, head->rss_before_bytes, exact ? 0 : error);
	take(&rss, scanned_bytes, head->rss_after_bytes, exact ? 0 : error);
	take(&rss, scanned_bytes, sum_of_parts(kernel), error);
	vmt_assert(rss.least_bytes <= rss.most_bytes);
	return rss;
}
