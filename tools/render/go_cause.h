/*
 * go_cause.h: why a Go program has so much memory, in sentences.
 *
 * What is known of the part that most of RSS is. Nothing is said where nothing is known.
 */
#ifndef VMT_GO_CAUSE_H
#define VMT_GO_CAUSE_H

#include "tools/model/report/report.h"
#include "tools/render/sentence.h"

/* By this factor live objects by line are far from what is live: a profile is up to a collection
 * older, and a heap may double from one to the next. */
#define VMT_GO_CAUSE_FAR 4.0

/* Whether all of the runtime's memory is known to be its own. */
static inline bool
vmt_go_cause_is_whole(const struct vmt_report *report)
{
	return !report->go.unseen && !report->go.is_partial && !report->go.heap_alone;
}

static inline bool
vmt_go_cause_has_pace(const struct vmt_report *report)
{
	return !report->go.uncounted && report->go.figures.has_pace;
}

/* Whether there is a memory limit (GOMEMLIMIT). */
static inline bool
vmt_go_cause_is_limited(const struct vmt_report *report)
{
	return !report->go.uncounted && report->go.figures.memory_limit_bytes != VMT_FIGURE_UNKNOWN;
}

/* All that is in RAM, as its parts add up to it. */
static inline uint64_t
vmt_go_cause_rss_bytes(const struct vmt_report *report)
{
	uint64_t all = 0;

	for (int part = 0; part < VMT_GO_PARTS; part++)
		all += report->go.parts.bytes[part];
	return all;
}

/* Whether the runtime is seen to give back by MADV_FREE: then pages stay in RSS for a while. */
bool vmt_go_cause_frees_lazily(const struct vmt_report *report);

/* The stacks of goroutines that are over; all zero where there are none. */
const struct vmt_go_creator *vmt_go_cause_ended(const struct vmt_report *report);

/* What live objects by Go line add up to, by the runtime's memory profile. */
uint64_t vmt_go_cause_profiled_bytes(const struct vmt_report *report);

/* ... against what the runtime counts as live. Where they differ by more than a part of that (the
 * factor, above 1), the profile is of another collection, or its rate was changed on the way, or it
 * lacks something. False as well where the count is not known, or there is next to nothing. */
bool vmt_go_cause_is_profiled_within(const struct vmt_report *report, double factor);
bool vmt_go_cause_is_profiled_beyond(const struct vmt_report *report, double factor);

/* Of what most of RSS is. */
void vmt_go_cause_say(struct vmt_sentence *sentence, const struct vmt_report *report);

/* What a cause is, and what is known of it in this report: "stacks of goroutines. The most, ..." */
void vmt_go_cause_explain(struct vmt_sentence *sentence, const struct vmt_report *report,
			  enum vmt_go_cause cause);

#endif
