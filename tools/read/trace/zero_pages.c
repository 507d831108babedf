#include "tools/read/trace/zero_pages.h"

#include <assert.h>
#include <stdbool.h>

#define LIKE_ZERO (VMT_RUN_PRESENT | VMT_RUN_SHARED)

/* Whether RSS is exact, and nothing but the zero page may be missing in it. */
static bool
is_doubtful(const struct vmt_snapshot_head *head)
{
	return head->source == VMT_RESIDENCY_PAGEMAP &&
	       head->kernel.proportional_bytes != VMT_FIGURE_UNKNOWN &&
	       head->rss_before_bytes == head->rss_after_bytes && head->rss_after_bytes != 0 &&
	       head->resident_bytes > head->rss_after_bytes;
}

/* Of a private anonymous mapping: a file has no zero page. */
static bool
may_have_zero(const struct vmt_snapshot_mapping *mapping)
{
	return mapping->mapping.inode == 0 && !mapping->mapping.shared;
}

/* The bytes of all runs that may be the zero page; marks them as that where it is one. */
static uint64_t
walk(struct vmt_snapshot *snapshot, bool marks)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < snapshot->head.mappings; i++) {
		const struct vmt_snapshot_mapping *mapping = &snapshot->mappings[i];
		struct vmt_run *runs = &snapshot->runs[mapping->first_run];

		assert(mapping->first_run + (uint64_t)mapping->runs <= snapshot->head.runs);
		for (uint32_t run = 0; run < mapping->runs && may_have_zero(mapping); run++) {
			if (runs[run].kind != LIKE_ZERO)
				continue;
			bytes += runs[run].bytes;
			if (marks)
				runs[run].kind = VMT_RUN_PRESENT | VMT_RUN_ZERO;
		}
	}
	return bytes;
}

void
vmt_zero_pages_mark(struct vmt_snapshot *snapshot)
{
	const struct vmt_snapshot_head *head = &snapshot->head;

	if (is_doubtful(head) &&
	    walk(snapshot, false) == head->resident_bytes - head->rss_after_bytes)
		(void)walk(snapshot, true);
}
